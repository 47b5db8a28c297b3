// Phantom tic-tac-toe and dark hex, whose histories are too many for a tree: the rules of
// games/native/hidden_board.py. A set of cells is a word: bit i is cell i.
"use strict";

class Blind {
  constructor(book) {
    Object.assign(this, book.blind, { entries: book.arrays.entries, wins: book.arrays.wins });
    this.all = (1 << this.cells) - 1;
  }

  begin() {
    return { mover: 0, marks: [0, 0], tries: [[], []], winner: -1 };
  }

  isOver({ marks, winner }) {
    return winner >= 0 || (marks[0] | marks[1]) === this.all;
  }

  mover(state) {
    return state.mover;
  }

  legal({ mover, tries }) {
    return [...Array(this.cells).keys()].filter((cell) => !tries[mover].includes(cell));
  }

  step({ mover, marks, tries }, cell) {
    const bumps = (marks[1 - mover] >> cell) & 1;
    const after = {
      mover: bumps && !this.passes ? mover : 1 - mover,
      marks: marks.map((own, p) => (p === mover && !bumps ? own | (1 << cell) : own)),
      tries: tries.map((own, p) => (p === mover ? [...own, cell] : own)),
      winner: -1,
    };
    if (this.wins[mover * (this.all + 1) + after.marks[mover]]) after.winner = mover;
    return after;
  }

  // Who has a cell, as far as a seat knows: -1 for nobody or unknown.
  owner({ marks, tries }, seat, cell) {
    if (!tries[seat].includes(cell)) return -1;
    return (marks[seat] >> cell) & 1 ? seat : 1 - seat;
  }

  // The tensor that a policy sees: the view, and the order of its own tries.
  seen(state) {
    const seat = state.mover, tensor = new Float64Array(this.size);
    for (let cell = 0; cell < this.cells; cell++) {
      tensor[this.entries[(1 + this.owner(state, seat, cell)) * this.cells + cell]] = 1;
    }
    if (this.showsOrder) {
      state.tries[seat].forEach((cell, turn) => (tensor[this.viewSize + turn * this.cells + cell] = 1));
    }
    return tensor;
  }

  board(ownerOf) {
    const cells = [...Array(this.cells).keys()].map((cell) => ["", "x", "o"][1 + ownerOf(cell)]);
    return { hexagonal: this.hexagonal, columns: this.columns, cells, goal: this.goal, note: "" };
  }

  scene(state, seat) {
    const actions = this.legal(state).map((number) => ({ number, name: this.names[seat][number], meaning: "" }));
    return { text: "", picture: null, board: this.board((cell) => this.owner(state, seat, cell)), actions };
  }

  close({ marks, winner }) {
    const board = this.board((cell) => [0, 1].findIndex((p) => (marks[p] >> cell) & 1));
    const returns = [0, 1].map((p) => (winner < 0 ? 0 : p === winner ? 1 : -1));
    return { state: "", outcome: "", board, pictures: [], returns };
  }
}
