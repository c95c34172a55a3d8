// Bundles the page's script and style into the package; `--check` only says whether they are those of the source.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const out = fileURLToPath(new URL("../src/thalweg/lab/explorer/", import.meta.url));
const result = await build({
  absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
  entryPoints: { explorer: "src/main.ts" },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
  outdir: out,
  write: !process.argv.includes("--check"),
});
if (process.argv.includes("--check"))
  for (const { path, text } of result.outputFiles)
    if (readFileSync(path, "utf8") !== text) {
      console.error(`${path} is not what web/src makes: run npm run build in web/`);
      process.exitCode = 1;
    }
