// Policies: what one plays, from what it remembers, what it sees and what it played last.
"use strict";

// A table of probabilities [S], entry 0 being the empty sequence.
class Table {
  constructor(book, player, policy) {
    const width = book.arrays[`first_sequence_${player}`].at(-1);
    this.first = book.arrays[`first_sequence_${player}`];
    this.table = book.arrays[`policies_${player}`].subarray(policy * width, (policy + 1) * width);
  }

  start() {
    return null;
  }

  // The probabilities of the legal actions, in order, and what is remembered afterwards.
  decide(memory, seen) {
    return [Array.from(this.table.subarray(this.first[seen], this.first[seen + 1])), null];
  }
}

const mindOf = (book, player, policy) => new Table(book, player, policy);
