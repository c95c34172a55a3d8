// Performance profiles and scores of the methods that are shown, computed again whenever one is hidden:
// a ratio is a method's running time over the fastest one's among those that are shown.
(() => {
  const data = JSON.parse(document.getElementById("profile-data").textContent);
  const svg = document.getElementById("profile-plot"), boxes = [...document.querySelectorAll("[data-show]")];
  const names = data.methods.map((m) => m.name), count = data.times[0].length;
  const height = 340, left = 46, right = 12, top = 12, bottom = 46, last = data.last;
  let width = 720;
  const x = (ratio) => left + (width - left - right) * Math.log2(ratio) / Math.log2(last);
  const y = (share) => top + (height - top - bottom) * (1 - share);
  const make = (tag, set, text) => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(set)) part.setAttribute(name, value);
    if (text !== undefined) part.textContent = text;
    return part;
  };

  const ratios = (shown) => {
    const table = names.map(() => new Array(count).fill(Infinity));
    for (let j = 0; j < count; j++) {
      const times = shown.map((k) => data.times[k][j] ?? Infinity), best = Math.min(...times);
      shown.forEach((k, i) => {
        if (times[i] < Infinity) table[k][j] = times[i] === best ? 1 : times[i] / best;
      });
    }
    return table;
  };
  const share = (row, at) => row.filter((r) => r <= at).length / count;
  const score = (row) => {
    const most = data.r_max;
    return row.reduce((sum, r) => sum + Math.min(1, Math.max(0, (most - r) / (most - 1))), 0) / count;
  };

  const frame = () => {
    for (let r = 1; r <= last; r *= 2) {
      svg.append(make("path", { d: `M${x(r)} ${top}V${height - bottom}`, class: "rule" }));
      svg.append(make("text", { x: x(r), y: height - bottom + 18, "text-anchor": "middle" }, String(r)));
    }
    for (const s of [0, 0.25, 0.5, 0.75, 1]) {
      svg.append(make("path", { d: `M${left} ${y(s)}H${width - right}`, class: "rule" }));
      svg.append(make("text", { x: left - 7, y: y(s) + 4, "text-anchor": "end" }, String(s)));
    }
    const words = width < 500 ? "time over the fastest one's" : "running time over the fastest shown method's";
    svg.append(make("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle" }, words));
  };
  const line = (method, row) => {
    const jumps = [...new Set(row.filter((r) => r <= last))].sort((a, b) => a - b);
    let d = `M${x(1)} ${y(share(row, 1))}`;
    for (const r of jumps) d += `H${x(r).toFixed(1)}V${y(share(row, r)).toFixed(1)}`;
    const style = `stroke:var(--${method.stroke});stroke-dasharray:${method.dash || "none"}`;
    const path = make("path", { d: d + `H${x(last)}`, class: "line", style, "data-method": method.name });
    path.append(make("title", {}, method.name));
    return path;
  };

  const draw = () => {
    const shown = boxes.filter((b) => b.checked).map((b) => names.indexOf(b.dataset.show));
    const table = ratios(shown);
    width = Math.max(280, svg.clientWidth || 720);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    frame();
    names.forEach((name, k) => {
      const cells = document.querySelectorAll(`[data-score="${CSS.escape(name)}"] td`), seen = shown.includes(k);
      if (seen) svg.append(line(data.methods[k], table[k]));
      const values = [score(table[k]), share(table[k], 1), share(table[k], Number.MAX_VALUE)];
      cells.forEach((cell, i) => {
        cell.textContent = seen ? values[i].toFixed(2) : "–";
      });
    });
  };
  boxes.forEach((box) => box.addEventListener("change", draw));
  addEventListener("resize", draw);
  draw();
})();
