// A whole game as arrays, as psro/play/offline/tree.py wrote it: `GameTree` of games/tree.py.
"use strict";

class Tree {
  constructor(book) {
    Object.assign(this, book.arrays);
    this.book = book;
    this.numDecisions = this.decision_player.length;
    this.numPlayers = book.players.length;
  }

  // The node after a slot: of several outcomes, chance draws one.
  after(slot, random) {
    let at = this.first_outcome[slot];
    const end = this.first_outcome[slot + 1];
    for (let left = random(); at < end - 1; at++) {
      left -= this.outcome_probability[at];
      if (left < 0) break;
    }
    return this.outcome_node[at];
  }

  begin(random) {
    return this.after(0, random);
  }

  isOver(node) {
    return node >= this.numDecisions;
  }

  mover(node) {
    return this.decision_player[node];
  }

  // The number of the mover's info state: what a policy decides by.
  seen(node) {
    return this.decision_info_state[node];
  }

  legal(node) {
    return this.scene(node, this.mover(node)).actions.map((action) => action.number);
  }

  step(node, action, random) {
    return this.after(this.first_slot[node] + this.legal(node).indexOf(action), random);
  }

  scene(node, seat) {
    const { book } = this, place = this.seen(node);
    const column = (name) => book.arrays[`scene_${name}_${seat}`][place];
    return {
      text: book.pooled(column("text")),
      picture: book.picture(column("picture")),
      board: book.pooled(column("board")),
      actions: book.pooled(column("actions")),
    };
  }

  close(node) {
    const { book, numPlayers } = this, end = node - this.numDecisions;
    const column = (name) => book.pooled(book.arrays[`close_${name}`][end]);
    const seats = [...Array(numPlayers).keys()];
    const drawn = seats.map((p) => book.picture(book.arrays.close_pictures[end * numPlayers + p]));
    return {
      state: column("state"),
      outcome: column("outcome"),
      board: column("board"),
      pictures: drawn.filter((picture) => picture !== null),
      returns: seats.map((p) => this.returns[end * numPlayers + p]),
    };
  }
}
