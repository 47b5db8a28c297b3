// A match that is played here, without a server: the counterpart of psro/play/match.py. What it
// plays is in the page, packed by psro/play/offline/book.py.
"use strict";

let random = Math.random;

const KINDS = { int8: Int8Array, int32: Int32Array, float32: Float32Array, float64: Float64Array, uint8: Uint8Array };

// The page's data: a header, and arrays by name.
async function unpacked() {
  const packed = Uint8Array.from(atob(document.getElementById("book").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  const size = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
  const arrays = {};
  for (const [name, kind, place, length] of header.arrays) arrays[name] = new KINDS[kind](bytes, place, length);
  const pooled = (k) => (k < 0 ? null : header.pool[k]);
  const picture = (k) => (k < 0 ? null : { ...pooled(k), moves: pooled(pooled(k).moves) });
  const observation = (player, place) => {
    const table = arrays[`observation_${player}`], width = header.network.seen;
    return table.subarray(place * width, (place + 1) * width);
  };
  return { ...header, arrays, pooled, picture, observation };
}

// A number k with probability weights[k].
function pick(weights) {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0), last = 0;
  for (let k = 0; k < weights.length; k++) {
    if (weights[k] <= 0) continue;
    last = k;
    left -= weights[k];
    if (left < 0) break;
  }
  return last;
}

class Match {
  constructor(book) {
    this.book = book;
    this.game = book.blind ? new Blind(book) : new Tree(book);
    this.history = [];
    this.turn = 0;
    this.deal(0);
  }

  // Draws a policy for every player, and goes on to the person's first decision.
  deal(seat) {
    const { book } = this, seats = book.players.map((_, p) => p);
    const profile = book.joint && book.joint.profiles[pick(book.joint.weights)];
    this.seat = seat;
    this.policies = seats.map((p) => (profile ? profile[p] : pick(book.policies[p].map(({ weight }) => weight))));
    this.minds = this.policies.map((policy, p) => mindOf(book, p, policy));
    this.memories = this.minds.map((mind) => mind.start());
    this.last = seats.map(() => -1);
    this.state = this.game.begin(random);
    this.goOn();
  }

  play(action) {
    this.state = this.game.step(this.state, action, random);
    this.goOn();
  }

  goOn() {
    const { game } = this;
    while (!game.isOver(this.state) && game.mover(this.state) !== this.seat) {
      const p = game.mover(this.state);
      const legal = game.legal(this.state), seen = game.seen(this.state);
      const [chances, memory] = this.minds[p].decide(this.memories[p], seen, this.last[p], legal);
      this.memories[p] = memory;
      this.last[p] = legal[pick(chances)];
      this.state = game.step(this.state, this.last[p], random);
    }
    this.turn += 1;
    this.view = this.seen();
    if (this.view.end) this.history.push(this.view);
  }

  seen() {
    const { game, state, seat, turn } = this;
    const now = { hand: this.history.length + 1, turn, seat };
    if (!game.isOver(state)) return { ...now, ...game.scene(state, seat), end: null };
    const end = { ...game.close(state), met: this.met() };
    const picture = end.pictures.length ? end.pictures[seat] : null;
    return { ...now, text: "", picture, board: end.board, actions: [], end };
  }

  met() {
    const { book, policies, seat } = this;
    const all = policies.map((policy, player) => ({ player, ...book.policies[player][policy] }));
    return all.filter(({ player }) => player !== seat);
  }

  said() {
    const { book, view, history } = this;
    const past = history.map(({ hand, seat, end }) => ({ hand, seat, result: end.returns[seat], met: end.met }));
    const { game, players, rules, how, par, wins } = book;
    const score = past.reduce((sum, { result }) => sum + result, 0);
    return { game, players, rules, how, par, wins, you: book.you[view.seat], view, score, history: past };
  }
}

let match = null;

// As in served.js.
async function answer(path, body) {
  try {
    match ??= new Match(await unpacked());
  } catch (error) {
    return { said: null, note: `This browser cannot open the page's data (${error.message}); a newer one can.` };
  }
  if (body && body.turn !== match.view.turn) return { said: match.said(), note: "The match has gone on since." };
  if (path === "/api/play") match.play(body.action);
  if (path === "/api/deal") match.deal(body.seat);
  return { said: match.said(), note: "" };
}
