// The race's chart of loss, drawn anew where a scale or the width changes, and its explorer.
(() => {
  const box = document.getElementById("chart");
  const data = box && JSON.parse(document.getElementById("chart-data").textContent);
  const LEFT = 62, RIGHT = 14, TOP = 14, BOTTOM = 44;
  const state = { x: "step", across: "linear", y: data?.minimum != null ? "gap" : data?.log ? "log" : "linear", at: null };
  const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
  const power = (e) => "10" + String(e).replace(/[-\d]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

  const number = (v, digits = 3) => {
    if (v === null) return "diverged";
    if (v === 0) return "0";
    if (v < 0) return "−" + number(-v, digits);
    const e = Math.floor(Math.log10(Math.abs(v)) + 1e-12);
    if (e < -3 || e > 5) return (v / 10 ** e).toFixed(digits - 1) + "×" + power(e);
    return Number(v.toPrecision(digits)).toLocaleString("en", {
      minimumFractionDigits: Math.max(0, digits - 1 - e), maximumFractionDigits: Math.max(0, digits - 1 - e) });
  };
  const tick = (v) => {
    const e = v === 0 ? 0 : Math.floor(Math.log10(Math.abs(v)) + 1e-9);
    if (e >= -3 && e <= 4) return Number(v.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 });
    const m = Number((v / 10 ** e).toPrecision(3));
    return (m === 1 ? "" : m + "×") + power(e);
  };
  const even = (low, high, most) => {
    const rough = (high - low) / most, p = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((m) => m * p >= rough) * p, ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(k * step);
    return ticks;
  };
  const decades = (low, high, most) => {
    const from = Math.ceil(Math.log10(low) - 1e-9), to = Math.floor(Math.log10(high) + 1e-9), ticks = [];
    if (to - from < 2) {
      for (let e = from - 1; e <= to; e++) for (const m of [1, 2, 5])
        if (m * 10 ** e >= low * 0.999 && m * 10 ** e <= high * 1.001) ticks.push(m * 10 ** e);
      return ticks;
    }
    const stride = Math.ceil((to - from + 1) / most);
    for (let e = from; e <= to; e += stride) ticks.push(10 ** e);
    return ticks;
  };
  const scale = (log, low, high, from, to) => {
    const f = log ? Math.log10 : (v) => v, a = f(low), span = f(high) - a || 1;
    const map = (v) => from + (to - from) * (f(Math.max(v, log ? low : -Infinity)) - a) / span;
    map.back = (p) => { const v = a + (p - from) / (to - from) * span; return log ? 10 ** v : v; };
    return map;
  };

  const xs = (m) => m.steps.map((s) => s * (state.x === "rows" ? data.rows : state.x === "seconds" ? m.seconds : 1));
  const height = (v) => v === null ? null : state.y === "gap" ? v - data.minimum : v;
  const word = { step: "step", rows: "row gradients", seconds: "seconds" };
  let geometry = null;

  const draw = () => {
    const width = Math.max(280, box.clientWidth), tall = width < 560 ? 300 : 400, logY = state.y !== "linear";
    const lines = data.methods.map((m) => ({ ...m, x: xs(m),
      mid: m.median.map(height), low: m.p10.map(height), high: m.p90.map(height) }));
    const all = lines.flatMap((m) => m.mid).filter((v) => v !== null && (!logY || v > 0));
    const firsts = lines.map((m) => m.mid[0]).filter((v) => v !== null);
    let least = Math.max(Math.min(...all), logY ? data.least : -Infinity), most = Math.min(Math.max(...all), 3 * Math.max(...firsts) || Infinity);
    if (!(most > least)) { most = Math.max(...all); least = Math.min(...all); }
    if (!(most > least)) { most = least + Math.abs(least || 1); }
    if (logY) { least *= 0.9; most *= 1.15; } else { const pad = 0.04 * (most - least); least -= pad; most += pad; }
    const logX = state.across === "log", last = Math.max(...lines.map((m) => m.x.at(-1)));
    const first = logX ? Math.min(...lines.flatMap((m) => m.x.filter((v) => v > 0))) : 0;
    const X = scale(logX, first, last, LEFT, width - RIGHT), Y = scale(logY, least, most, tall - BOTTOM, TOP);
    const y = (v) => v === null ? TOP : Math.min(tall - BOTTOM, Math.max(TOP, v > 0 || !logY ? Y(v) : tall - BOTTOM));
    const parts = [];
    const few = width < 560 ? 4 : 8;
    for (const v of logX ? decades(first, last, few) : even(0, last, few)) {
      const p = X(v).toFixed(1);
      parts.push(`<path class="grid" d="M${p} ${TOP}V${tall - BOTTOM}"/>`,
        `<text class="tick" x="${p}" y="${tall - BOTTOM + 18}" text-anchor="middle">${tick(v)}</text>`);
    }
    for (const v of logY ? decades(least, most, 8) : even(least, most, 7)) {
      const p = Y(v).toFixed(1);
      parts.push(`<path class="grid" d="M${LEFT} ${p}H${width - RIGHT}"/>`,
        `<text class="tick" x="${LEFT - 8}" y="${p}" dy=".32em" text-anchor="end">${tick(v).replace("-", "−")}</text>`);
    }
    parts.push(`<text class="tick" x="${(LEFT + width - RIGHT) / 2}" y="${tall - 6}" text-anchor="middle">${word[state.x]}</text>`);
    for (const [value, text] of data.references) {
      const v = height(value);
      if (v !== null && v > least && v < most) parts.push(
        `<path class="reference" d="M${LEFT} ${Y(v).toFixed(1)}H${width - RIGHT}"/>`,
        `<text class="tick" x="${width - RIGHT}" y="${(Y(v) - 5).toFixed(1)}" text-anchor="end">${escape(text)}</text>`);
    }
    lines.forEach((m) => {
      const keep = m.x.map((v, i) => i).filter((i) => m.x[i] >= first);
      const alive = keep.filter((i) => m.mid[i] !== null);
      const path = (values, order) => order.map((i) => `${X(m.x[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("L");
      const cut = keep.filter((i) => m.high[i] === null || (m.high[i] > most));
      let beside = -Infinity;
      const marks = cut.filter((i) => X(m.x[i]) - beside > 11 && (beside = X(m.x[i]), true)).map((i) =>
        `<path d="M${(X(m.x[i]) - 4).toFixed(1)} ${TOP}l4 -6l4 6z" style="fill:var(--${m.stroke})"/>`).join("");
      const banded = keep.filter((i) => m.low[i] !== null);
      const band = banded.length ? `<path d="M${path(m.high, banded)}L${path(m.low, [...banded].reverse())}Z" style="fill:var(--${m.stroke})"/>` : "";
      parts.push(`<g class="shade" data-method="${escape(m.name)}">${band}</g><g class="cut" data-method="${escape(m.name)}">${marks}</g>`);
      if (alive.length) {
        const end = alive.at(-1), died = end < m.x.length - 1;
        const [px, py] = [X(m.x[end]), y(m.mid[end])];
        const cross = died ? `<path d="M${px - 4} ${py - 4}l8 8m0 -8l-8 8" style="stroke:var(--${m.stroke})"/>` : "";
        parts.push(`<g class="run" data-method="${escape(m.name)}"><path d="M${path(m.mid, alive)}" `
          + `style="stroke:var(--${m.stroke});stroke-dasharray:${m.dash}"/>${cross}</g>`);
      }
    });
    parts.push(`<path class="cursor" d="M0 ${TOP}V${tall - BOTTOM}"/><g class="dots"></g>`);
    const plot = box.querySelector(".plot");
    plot.innerHTML = `<svg width="${width}" height="${tall}" viewBox="0 0 ${width} ${tall}" aria-hidden="true">${parts.join("")}</svg>`;
    geometry = { X, y, lines, first, last, tall, width };
    look(state.at);
    document.dispatchEvent(new Event("redrawn"));
  };

  // Values of all methods at one place; null is the end of the runs.
  const look = (at) => {
    state.at = at;
    const { X, y, lines, last } = geometry, here = at ?? last;
    const seen = lines.map((m) => {
      let i = 0;
      m.x.forEach((v, k) => { if (Math.abs(v - here) <= Math.abs(m.x[i] - here)) i = k; });
      return { m, i, v: m.mid[i] };
    });
    seen.sort((a, b) => (a.v ?? Infinity) - (b.v ?? Infinity));
    const steps = seen[0].m.steps[seen[0].i], exact = state.x === "seconds" ? here : seen[0].m.x[seen[0].i];
    const title = state.x === "step" ? `step ${steps.toLocaleString("en")}` : `${number(exact)} ${word[state.x]}`;
    const list = box.querySelector(".values");
    const what = state.y === "gap" ? ": above the minimum" : "";
    list.querySelector("h4").textContent = (at === null ? `At the end, ${title}` : `At ${title}`) + what;
    list.querySelector("ul").replaceChildren(...seen.map(({ m, i, v }) => {
      const row = document.createElement("li");
      row.dataset.method = m.name;
      row.title = `10–90 %: ${number(m.low[i])} to ${m.high[i] === null ? "∞" : number(m.high[i])}`;
      row.innerHTML = `<svg class="key" viewBox="0 0 26 10" aria-hidden="true"><path d="M1 5H25" style="stroke:var(--${m.stroke});stroke-dasharray:${m.dash}"/></svg>`
        + `<span>${escape(m.name)}</span><b>${number(v, 4)}</b>`;
      return row;
    }));
    const cursor = box.querySelector(".cursor"), dots = box.querySelector(".dots");
    cursor.style.display = at === null ? "none" : "";
    if (at !== null) cursor.setAttribute("transform", `translate(${X(here).toFixed(1)} 0)`);
    dots.innerHTML = at === null ? "" : seen.filter((s) => s.v !== null).map(({ m, i, v }) =>
      `<circle data-method="${escape(m.name)}" cx="${X(m.x[i]).toFixed(1)}" cy="${y(v).toFixed(1)}" r="3.2" style="fill:var(--${m.stroke})"/>`).join("");
    const plot = box.querySelector(".plot");
    plot.setAttribute("aria-valuenow", String(steps));
    plot.setAttribute("aria-valuetext", `${title}: ${seen.map((s) => `${s.m.name} ${number(s.v)}`).join(", ")}`);
    document.dispatchEvent(new Event("redrawn"));
  };

  if (box) {
    const plot = box.querySelector(".plot"), clamp = (v) => Math.min(geometry.last, Math.max(geometry.first, v));
    const toPlace = (event) => look(clamp(geometry.X.back(event.clientX - plot.getBoundingClientRect().left)));
    plot.addEventListener("pointermove", toPlace);
    plot.addEventListener("pointerdown", toPlace);
    plot.addEventListener("pointerleave", (e) => { if (e.pointerType === "mouse") look(null); });
    plot.addEventListener("keydown", (e) => {
      const longest = geometry.lines.reduce((a, b) => (b.x.at(-1) > a.x.at(-1) ? b : a)).x;
      const here = state.at ?? geometry.last, size = e.shiftKey ? 10 : 1;
      let i = longest.findIndex((v) => v >= here - 1e-12);
      if (e.key === "ArrowLeft") i -= size; else if (e.key === "ArrowRight") i += size;
      else if (e.key === "Home") i = 0; else if (e.key === "End") i = longest.length - 1; else return;
      e.preventDefault();
      look(clamp(longest[Math.min(longest.length - 1, Math.max(0, i))]));
    });
    box.querySelectorAll("[data-set]").forEach((b) => b.addEventListener("click", () => {
      const [name, value] = b.dataset.set.split(":");
      state[name] = value;
      if (name === "x") state.at = null;
      box.querySelectorAll(`[data-set^="${name}:"]`).forEach((o) => o.setAttribute("aria-pressed", String(o === b)));
      draw();
    }));
    new ResizeObserver(() => { if (geometry?.width !== Math.max(280, box.clientWidth)) draw(); }).observe(box);
    box.hidden = false;
    draw();
  }

  // The explorer is a page of its own in a frame as tall as what it shows; closed, it costs nothing.
  document.querySelector("button.open")?.addEventListener("click", async ({ currentTarget: { parentElement: place } }) => {
    if (!globalThis.DecompressionStream) {
      place.textContent = "The explorer is kept compressed in this file, and this browser cannot unpack it: use one of 2023 or later.";
      return;
    }
    const frame = document.createElement("iframe");
    frame.title = "Explorer";
    frame.className = "explorer";
    const packed = Uint8Array.from(atob(document.getElementById("explorer-page").textContent), (c) => c.charCodeAt(0));
    frame.srcdoc = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    frame.addEventListener("load", () => {
      const inside = frame.contentDocument.documentElement;
      new ResizeObserver(() => { frame.style.height = `${inside.offsetHeight + 2}px`; }).observe(inside);
    });
    place.replaceWith(frame);
    frame.focus();
  }, { once: true });
})();
