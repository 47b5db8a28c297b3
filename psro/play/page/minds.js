// Policies: what one plays, from what it remembers, what it sees, and what it played last.
"use strict";

// A table of probabilities [S], entry 0 being the empty sequence. It remembers nothing, and sees the
// number of an info state.
class Table {
  constructor(book, player, policy) {
    this.first = book.arrays[`first_sequence_${player}`];
    const width = this.first.at(-1);
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

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// A network of psro/policies/networks: an encoder, a cell (lstm, gru or none) and a policy head.
class Network {
  constructor(book, player, policy) {
    const { leaves, size, cell, actions, hidden } = book.network;
    const row = book.arrays[`networks_${player}`].subarray(policy * size, (policy + 1) * size);
    this.leaf = Object.fromEntries(leaves.map(([name, place, length]) => [name, row.subarray(place, place + length)]));
    Object.assign(this, { book, player, cell, actions, hidden });
    this.layers = this.leaf["encoder/kernel"] ? ["encoder"] : [];
    for (let k = 0; this.leaf[`encoder/layers/${k}/kernel`]; k++) this.layers.push(`encoder/layers/${k}`);
  }

  start() {
    return { h: new Float64Array(this.hidden), c: new Float64Array(this.hidden) };
  }

  // x W + b, of a layer by its name.
  dense(name, x) {
    const kernel = this.leaf[`${name}/kernel`], bias = this.leaf[`${name}/bias`];
    const width = kernel.length / x.length, y = new Float64Array(width);
    if (bias) y.set(bias);
    for (let i = 0; i < x.length; i++) {
      if (x[i] === 0) continue;
      for (let j = 0, at = i * width; j < width; j++, at++) y[j] += x[i] * kernel[at];
    }
    return y;
  }

  normalised(x) {
    const mean = this.leaf["normaliser/mean/0"], variance = this.leaf["normaliser/variance/0"];
    if (!mean) return x;
    return x.map((value, i) => Math.max(-10, Math.min(10, (value - mean[i]) / Math.sqrt(variance[i] + 1e-8))));
  }

  // Layer normalisation: mean 0 and variance 1 over the features.
  scaled(x, number) {
    const scale = this.leaf[`encoder/norms/${number}/scale`], bias = this.leaf[`encoder/norms/${number}/bias`];
    if (!scale) return x;
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-6)) * scale[i] + bias[i]);
  }

  encoded(seen, last) {
    const x = new Float64Array(seen.length + this.actions);
    x.set(this.normalised(Float64Array.from(seen)));
    if (last >= 0) x[seen.length + last] = 1;
    let y = x;
    this.layers.forEach((name, number) => {
      y = this.scaled(this.dense(name, y), number).map((value) => Math.max(0, value));
    });
    return y;
  }

  // One step of the cell: see psro/policies/networks/cells/lstm.py and gru.py.
  remembered({ h, c }, x) {
    const { hidden } = this;
    if (this.cell === "none") return { h: x, c };
    const own = this.dense("cell/dense_i", x), before = this.dense("cell/dense_h", h);
    const part = (gate) => (j) => own[gate * hidden + j] + before[gate * hidden + j];
    const next = { h: new Float64Array(hidden), c: new Float64Array(hidden) };
    for (let j = 0; j < hidden; j++) {
      if (this.cell === "lstm") {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => part(gate)(j));
        next.c[j] = sigmoid(f) * c[j] + sigmoid(i) * Math.tanh(g);
        next.h[j] = sigmoid(o) * Math.tanh(next.c[j]);
      } else {
        const r = sigmoid(part(0)(j)), z = sigmoid(part(1)(j));
        const n = Math.tanh(own[2 * hidden + j] + r * before[2 * hidden + j]);
        next.h[j] = (1 - z) * n + z * h[j];
      }
    }
    return next;
  }

  decide(memory, seen, last, legal) {
    const observation = typeof seen === "number" ? this.book.observation(this.player, seen) : seen;
    const next = this.remembered(memory, this.encoded(observation, last));
    const logits = this.dense("policy_head", next.h), temperature = this.leaf.temperature[0];
    const most = Math.max(...legal.map((action) => logits[action]));
    const weights = legal.map((action) => Math.exp((logits[action] - most) / temperature));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return [weights.map((weight) => weight / sum), next];
  }
}

const mindOf = (book, player, policy) => new (book.network ? Network : Table)(book, player, policy);
