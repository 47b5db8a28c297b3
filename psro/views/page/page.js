// Draws a document (psro/page/document.py): once, from the page itself, or again and again from
// the server that the page came from. Texts are set as text, never as HTML.
"use strict";

const POLL = 2000; // milliseconds between two looks at a run that goes on
const LONG = 28; // characters of a table's cell that may be broken into lines
const LINE = 19; // pixels of a line of a legend
const dark = matchMedia("(prefers-color-scheme: dark)");
const chosen = {}; // figure id -> name of the view that is shown
let shown = null; // the document

function element(parent, id, tag, className) {
  let node = document.getElementById(id);
  if (!node) {
    node = document.createElement(tag);
    node.id = id;
    if (className) node.className = className;
    parent.appendChild(node);
  }
  return node;
}

function add(parent, tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  parent.appendChild(made);
  return made;
}

function say(id, text) {
  const node = document.getElementById(id);
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function scale(kind) {
  const ground = colour("--surface");
  if (kind === "signed") {
    return dark.matches
      ? [[0, "#f0a35c"], [0.25, "#9a5a24"], [0.5, "#23272e"], [0.75, "#2c6a9e"], [1, "#78bdf5"]]
      : [[0, "#b4540a"], [0.25, "#eda869"], [0.5, "#fafafa"], [0.75, "#7fb2dc"], [1, "#17609f"]];
  }
  // Weights spread over powers of ten: small ones are told from none.
  return dark.matches
    ? [[0, "#23272e"], [0.01, "#25405a"], [0.1, "#2c6a9e"], [0.4, "#5ba7e6"], [1, "#d8ecfd"]]
    : [[0, "#f3f4f6"], [0.01, "#dce9f5"], [0.1, "#9fc6e6"], [0.4, "#3f8bc9"], [1, "#0b3c68"]];
}

function withTheme(view) {
  const layout = view.layout;
  const narrow = innerWidth < 560;
  const named = view.data.filter((trace) => trace.name && trace.showlegend !== false);
  // On a narrow page the legend is a list above the plot, a line for each curve.
  const legend = narrow && layout.showlegend ? LINE * named.length : 0;
  const isList = layout.meta?.rows || named[0]?.type === "bar"; // a line for each name
  const height = narrow && !isList ? Math.min(layout.height, 300) : layout.height;
  const axis = {
    gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--soft"),
    automargin: true, zeroline: false,
  };
  const themed = Object.assign({}, layout, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--soft") },
    hoverlabel: { bgcolor: colour("--surface"), bordercolor: colour("--line"),
      font: { color: colour("--text"), size: 12 }, align: "left" },
    margin: { l: 8, r: 8, t: 8 + legend, b: 8 },
    legend: { orientation: narrow ? "v" : "h", traceorder: "normal",
      x: 0, y: 1.02, yanchor: "bottom", xanchor: "left" },
    xaxis: Object.assign({}, axis, layout.xaxis),
    yaxis: Object.assign({}, axis, layout.yaxis),
    height: height + legend,
    uirevision: "kept", // a zoom outlives an update
  });
  if (layout.coloraxis) {
    const { kind, ...limits } = layout.coloraxis;
    themed.coloraxis = Object.assign(limits, {
      colorscale: scale(kind), colorbar: { thickness: 8, outlinewidth: 0, len: 0.9, xpad: 6 },
    });
    themed.xaxis.showgrid = themed.yaxis.showgrid = false;
  }
  return themed;
}

function place(grid, figure) {
  const card = element(grid, `card-${figure.id}`, "div", "card");
  if (figure.title && !card.firstChild) add(card, "h3", figure.title);
  const names = Object.keys(figure.views);
  if (!(chosen[figure.id] in figure.views)) chosen[figure.id] = names[0];
  element(card, `plot-${figure.id}`, "div", "plot");
}

function plot(figure) {
  const view = figure.views[chosen[figure.id]];
  // Copied, because plotly writes into what it is given.
  Plotly.react(`plot-${figure.id}`, structuredClone(view.data), withTheme(view), {
    displayModeBar: false, responsive: true, doubleClick: "reset",
  });
}

function drawViews(head, figure) {
  const box = element(head, `views-${figure.id}`, "div", "views");
  if (box.firstChild) return;
  for (const name of Object.keys(figure.views)) {
    const button = add(box, "button", name);
    button.setAttribute("aria-pressed", String(name === chosen[figure.id]));
    button.addEventListener("click", () => {
      chosen[figure.id] = name;
      for (const other of box.children) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      draw(shown);
    });
  }
}

function drawCell(row, cell) {
  const made = add(row, "td");
  if (typeof cell === "string") {
    made.textContent = cell;
    if (cell.includes("\n")) made.className = "board";
    else if (cell.length > LONG) made.className = "long";
    return;
  }
  const bar = add(made, "span", undefined, "share");
  add(bar, "i").style.width = `${100 * cell.share}%`;
  if (cell.range) {
    const mark = add(bar, "b");
    mark.style.left = `calc(${100 * cell.range[0]}% - 1px)`;
    mark.style.width = `calc(${100 * (cell.range[1] - cell.range[0])}% + 2px)`;
  }
}

function drawTable(grid, table) {
  const card = element(grid, `table-${table.id}`, "div", "card");
  const fresh = document.createDocumentFragment();
  if (table.title) add(fresh, "h3", table.title);
  const holder = table.folded ? add(fresh, "details") : fresh;
  if (table.folded) {
    card.classList.add("folded");
    holder.open = card.querySelector("details")?.open ?? false; // an update leaves it as it is
    add(holder, "summary", table.folded);
  }
  const box = add(holder, "div", undefined, "scroll");
  const made = add(box, "table");
  const heads = add(add(made, "thead"), "tr");
  for (const column of table.columns) add(heads, "th", column);
  const body = add(made, "tbody");
  for (const cells of table.rows) {
    const row = add(body, "tr");
    for (const cell of cells) drawCell(row, cell);
  }
  if (table.note) add(holder, "p", table.note, "note");
  const old = card.querySelector(".scroll");
  const [left, top] = old ? [old.scrollLeft, old.scrollTop] : [0, 0];
  card.replaceChildren(fresh);
  box.scrollTo(left, top);
}

function drawFacts(box, facts) {
  const fresh = document.createDocumentFragment();
  for (const fact of facts) {
    const tile = add(fresh, "div");
    add(tile, "dt", fact.label);
    const value = add(tile, "dd", fact.value, "value");
    if (fact.error) add(value, "small", `± ${fact.error}`);
    add(tile, "dd", fact.note, "note");
  }
  box.replaceChildren(fresh);
}

function drawSection(page, section) {
  const box = element(page, `section-${section.id}`, "section");
  const head = element(box, `head-${section.id}`, "div", "head");
  const words = element(head, `words-${section.id}`, "div");
  element(words, `title-${section.id}`, "h2");
  element(words, `text-${section.id}`, "p");
  say(`title-${section.id}`, section.title);
  say(`text-${section.id}`, section.text);
  const grid = element(box, `grid-${section.id}`, "div", "grid");
  for (const figure of section.figures) {
    place(grid, figure);
    if (Object.keys(figure.views).length > 1) drawViews(head, figure);
  }
  for (const table of section.tables) drawTable(grid, table);
  for (const image of section.images ?? []) drawImage(grid, image);
}

function drawImage(grid, image) {
  const card = element(grid, `image-${image.id}`, "div", image.narrow ? "card narrow" : "card wide");
  const fresh = document.createDocumentFragment();
  add(fresh, "h3", image.title);
  const shownImage = add(add(fresh, "div", undefined, "scroll"), "img");
  shownImage.src = image.source;
  shownImage.alt = image.alt;
  card.replaceChildren(fresh);
}

function draw(content) {
  const page = document.getElementById("page");
  if (!shown) {
    page.replaceChildren();
    const header = add(page, "header");
    element(header, "title", "h1");
    element(header, "subtitle", "p", "subtitle");
    element(header, "status", "div", "status").hidden = true;
    element(page, "facts", "dl", "facts");
  }
  shown = content;
  say("title", content.title);
  say("subtitle", content.subtitle);
  drawFacts(document.getElementById("facts"), content.facts);
  const wanted = new Set(content.sections.map((section) => `section-${section.id}`));
  for (const old of page.querySelectorAll("section")) if (!wanted.has(old.id)) old.remove();
  for (const section of content.sections) {
    drawSection(page, section);
    page.appendChild(document.getElementById(`section-${section.id}`)); // in this order
  }
  // Now that every card has its width.
  for (const section of content.sections) section.figures.forEach(plot);
}

function tell(state, text) {
  if (!shown) return;
  document.getElementById("status").dataset.state = state;
  say("status", text);
}

async function fetched(path) {
  const response = await fetch(path, { cache: "no-store" });
  const text = await response.text();
  if (!response.ok) throw new Error(text.trim());
  return text;
}

async function watch() {
  let version = null;
  for (;;) {
    try {
      const newest = await fetched("/version");
      if (newest !== version) {
        draw(JSON.parse(await fetched("/document.json")));
        version = newest;
      }
      tell(shown.ended ? "ended" : "live", shown.status);
    } catch (error) {
      tell("lost", error instanceof TypeError ? "psro watch has stopped" : error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

const embedded = document.getElementById("document");
if (embedded) draw(JSON.parse(embedded.textContent));
else watch();
dark.addEventListener("change", () => shown && draw(shown));
