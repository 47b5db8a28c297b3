// Shows what the match says and passes on what is clicked; it decides nothing. The match is behind
// `answer`: served.js asks a server, offline.js plays it here. Text from the game is only ever set
// as text.
"use strict";

const at = (id) => document.getElementById(id);
const signed = (x, digits) => (Number(x.toFixed(digits)) === 0 ? "" : x > 0 ? "+" : "−") + Math.abs(x).toFixed(digits);
const points = (x) => (x === 0 ? "0" : signed(x, Number.isInteger(x) ? 0 : 2));
const beginning = (name) => name.replace(/^player (?=[0-9]+$)/, "Player "); // of a sentence
let shown = null; // what the server said last
let waiting = false;

function make(tag, name, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside);
  return made;
}

async function ask(path, body) {
  if (waiting) return;
  waiting = true;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  const { said, note } = await answer(path, body);
  if (said) show(said);
  waiting = false;
  at("note").textContent = note;
  for (const button of document.querySelectorAll("button")) button.disabled = false;
}

function drawn(card, isNew) {
  if (card === null) return make("div", "card absent");
  if (card === "back") return make("div", "card back");
  const corner = (end) => make("span", "corner" + end, card.rank, make("small", "", card.suit));
  const made = make("div", "card", corner(""), make("span", "pip", card.suit), corner(" end"));
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", card.rank + card.suit);
  if ("♥♦".includes(card.suit)) made.classList.add("red");
  if (isNew) made.classList.add("new");
  return made;
}

function seatAt(number, cards, moves, name, isNew) {
  const said = make("div", "said");
  let round = null;
  moves.forEach((move, place) => {
    if (move.player !== number) return;
    if (round !== null && move.round !== round) said.append(make("i", "", "|"));
    round = move.round;
    const bubble = make("span", place === moves.length - 1 ? "last" : "");
    bubble.textContent = move.meaning || move.name.toLowerCase();
    said.append(bubble);
  });
  const hand = make("div", "cards", ...cards.map((card) => drawn(card, isNew)));
  return make("div", "seat", make("div", "name", name, said), hand);
}

// Cells that may be marked are buttons. A hexagonal row is half a cell further right than the one
// above it.
function gridOf(board, actions, turn, isOver) {
  const size = Math.max(26, Math.min(70, 520 / (board.columns + (board.hexagonal ? board.cells.length / board.columns / 2 : 0))));
  const grid = make("div", board.hexagonal ? "grid hex" : "grid square");
  grid.style.setProperty("--cell", `${size}px`);
  const legal = new Map(actions.map((action) => [action.number, action]));
  for (let first = 0; first < board.cells.length; first += board.columns) {
    const row = make("div", "row");
    if (board.hexagonal) row.style.marginLeft = `${(first / board.columns) * size / 2}px`;
    board.cells.slice(first, first + board.columns).forEach((mark, column) => {
      const action = legal.get(first + column);
      const cell = make(action ? "button" : "div", `cell ${mark && `mark ${mark}`}`, make("span", "", mark === "x" ? "✕" : mark === "o" ? "◯" : ""));
      if (action) {
        cell.dataset.action = action.number;
        cell.title = action.name;
        cell.onclick = () => ask("/api/play", { turn, action: action.number });
      }
      cell.setAttribute("aria-label", action ? action.name : mark ? `mark of ${mark}` : isOver ? "empty" : "unknown");
      row.append(cell);
    });
    grid.append(row);
  }
  return grid;
}

function showBoard({ view, players }, others) {
  const { seat, end } = view, board = end ? end.board : view.board, marks = ["x", "o"];
  const label = (p, name) => make("div", "name", make("b", `mark ${marks[p]}`, p ? "◯" : "✕"), name);
  at("others").append(...others.map((p) => make("div", "seat", label(p, players[p]))));
  at("board").append(gridOf(board, view.actions, view.turn, Boolean(end)));
  const said = [board.goal, board.note, end ? "the whole board" : "you see your own marks and what you bumped into"];
  at("you").append(make("div", "seat", label(seat, `you, ${players[seat]}`), make("p", "goal", said.filter(Boolean).join(" · "))));
}

function showTable({ view, players }, before) {
  const { picture, seat, end } = view;
  const num_players = players.length;
  const others = [];
  for (let step = 1; step < num_players; step++) others.push((seat + step) % num_players);
  at("table").className = picture ? "felt" : view.board ? "slate" : "plain";
  at("text").hidden = at("hint").hidden = Boolean(picture || view.board);
  at("hint").textContent = end ? "what happened" : "what you know";
  at("text").textContent = picture || view.board ? "" : end ? end.state : view.text;
  for (const id of ["others", "board", "you"]) at(id).replaceChildren();
  if (view.board) return showBoard({ view, players }, others);
  if (!picture) {
    at("others").append(...others.map((p) => make("div", "seat", make("div", "name", players[p]))));
    at("you").append(make("div", "seat", make("div", "name", `you, ${players[seat]}`)));
    return;
  }
  for (const p of others) {
    const cards = end ? end.pictures[p].own : picture.own.map(() => "back");
    at("others").append(seatAt(p, cards, picture.moves, players[p], Boolean(end)));
  }
  const old = before && before.view.hand === view.hand ? before.view.picture : null;
  const turned = (card, place) => drawn(card, card && !(old && old.board[place]));
  if (picture.board.length) at("board").append(make("div", "cards", ...picture.board.map(turned)));
  if (picture.pot && !end) {
    const chips = make("div", "chips", ...Array.from({ length: Math.min(picture.pot, 24) }, () => make("span")));
    at("board").append(make("div", "pot", make("b", "", String(picture.pot)), "in the pot", chips));
  }
  at("you").append(seatAt(seat, picture.own, picture.moves, `you, ${players[seat]}`, !old));
}

function showPanel({ view, players, wins }) {
  const result = at("result"), actions = at("actions");
  result.replaceChildren();
  actions.replaceChildren();
  result.className = "";
  actions.classList.toggle("many", view.actions.length > 8);
  if (!view.board) view.actions.forEach(({ number, name, meaning }, place) => {
    const button = make("button", "", name);
    if (meaning) button.append(make("small", "", meaning));
    if (place < 9) button.prepend(make("kbd", "", String(place + 1)));
    button.dataset.action = number;
    button.onclick = () => ask("/api/play", { turn: view.turn, action: number });
    actions.append(button);
  });
  if (!view.end) return;
  const won = view.end.returns[view.seat];
  result.className = won > 0 ? "win" : won < 0 ? "lose" : "";
  const size = Math.abs(won).toFixed(Number.isInteger(won) ? 0 : 2);
  const said = won > 0 ? `You win ${size}` : won < 0 ? `You lose ${size}` : "Nobody wins";
  result.append(make("b", "", wins ? said : `You get ${points(won).replace("+", "")}`));
  if (view.end.outcome) result.append(make("p", "outcome", view.end.outcome));
  for (const { player, policy, iteration, weight } of view.end.met) {
    const made = iteration === null ? "" : `iteration ${iteration}, `;
    result.append(make("p", "", `${beginning(players[player])} played `, make("strong", "", `policy ${policy}`),
      ` (${made}weight ${(100 * weight).toFixed(1)}%)`));
  }
  const seat = make("select");
  seat.id = "seat";
  seat.setAttribute("aria-label", "your seat in the next hand");
  players.forEach((name, p) => seat.append(new Option(`as ${name}`, p, false, p === view.seat)));
  const next = make("button", "next", make("kbd", "", "Enter"), "Next hand");
  next.id = "next";
  next.onclick = () => ask("/api/deal", { turn: view.turn, seat: Number(seat.value) });
  actions.append(seat, next);
}

function showMatch({ view, players, par, score, history }) {
  const hands = history.length, { value, error, best_response } = par[view.seat];
  at("score").textContent = points(score);
  const rows = [
    ["hands", String(hands)],
    ["you, a hand", hands ? signed(score / hands, 3) : "–"],
    [`the population as ${players[view.seat]}`, signed(value, 3) + (best_response === null ? ` ± ${error.toFixed(3)}` : "")],
  ];
  if (best_response !== null) rows.push(["a best response", signed(best_response, 3)]);
  at("means").replaceChildren(...rows.flatMap(([what, number]) => [make("dt", "", what), make("dd", "", number)]));
  at("nothing").hidden = hands > 0;
  at("history").replaceChildren(...[...history].reverse().map(({ hand, seat, result, met }) => {
    const many = met.length > 1; // a line for each of several
    const lines = (text) => met.map((policy) => make("div", "", text(policy)));
    const row = make("tr", "", make("td", "", String(hand)), make("td", "", players[seat].replace(/^player (?=[0-9]+$)/, "")),
      make("td", result > 0 ? "win" : result < 0 ? "lose" : "", points(result)),
      make("td", "", ...lines(({ player, policy }) => (many ? `${players[player]}: ` : "") + `policy ${policy}`)),
      make("td", "", ...lines(({ weight }) => `${(100 * weight).toFixed(0)}%`)));
    return row;
  }));
  showCurve(history, par);
}

// The score hand by hand, and what the population would have on average in the same seats.
function showCurve(history, par) {
  const scores = [0], expected = [0];
  for (const { result, seat } of history) {
    scores.push(scores.at(-1) + result);
    expected.push(expected.at(-1) + par[seat].value);
  }
  const all = [...scores, ...expected], low = Math.min(...all, -1), high = Math.max(...all, 1);
  const x = (i) => 5 + (250 * i) / Math.max(1, scores.length - 1);
  const y = (s) => 64 - (58 * (s - low)) / (high - low);
  const svg = (tag, name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    made.setAttribute("class", name);
    for (const [key, is] of Object.entries(attributes)) made.setAttribute(key, is);
    return made;
  };
  const line = (values) => values.map((s, i) => `${x(i).toFixed(1)},${y(s).toFixed(1)}`).join(" ");
  at("curve").replaceChildren(
    svg("line", "zero", { x1: 5, x2: 255, y1: y(0), y2: y(0) }),
    svg("polyline", "par", { points: line(expected), fill: "none" }),
    svg("polyline", "line", { points: line(scores) }),
    svg("circle", "now", { cx: x(scores.length - 1), cy: y(scores.at(-1)), r: 3.5 }),
  );
}

function show(said) {
  const before = shown;
  shown = said;
  document.title = `${said.game} – psro play`;
  at("game").textContent = said.game;
  at("about").textContent = `hand ${said.view.hand}, you are ${said.you}`;
  at("rules").replaceChildren(said.rules, make("span", "", said.how));
  showTable(said, before);
  showPanel(said);
  showMatch(said);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("select, button")
    && event.key === "Enter") return;
  const buttons = at("actions").querySelectorAll("button[data-action]");
  const cell = `.cell[data-action="${Number(event.key) - 1}"]`;
  if (event.key === "Enter") at("next")?.click();
  else if (/^[1-9]$/.test(event.key)) (shown?.view.board ? at("board").querySelector(cell) : buttons[Number(event.key) - 1])?.click();
});

ask("/api/view");
