import "./explorer.css";
import { App } from "./app";
import type { Data } from "./types";

declare global {
  interface Window {
    THALWEG: Data;
    /** What tests and the curious read: the page's own numbers. */
    explorer: App;
  }
}

window.explorer = new App(window.THALWEG, document.getElementById("explorer")!);
