// Browsers start no Worker from file://. There a hidden frame does a worker's work, for the search:
// it loads the worker's script, and messages go between it and the page.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      const listeners = [];
      const queue = [];
      // The worker's own names: what it says goes to the page, and it hears what the page says.
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) =>
        urls.reduce((before, each) => before.then(() => this.load(each)), Promise.resolve());
      const add = inside.addEventListener.bind(inside);
      inside.addEventListener = (kind, listener, options) => {
        if (kind !== "message") return add(kind, listener, options);
        listeners.push(listener);
        queue.splice(0).forEach((data) => listener(new MessageEvent("message", { data })));
      };
      this.inside = inside;
      this.say = (data) =>
        listeners.length
          ? listeners.forEach((each) => each(new MessageEvent("message", { data })))
          : queue.push(data);
      this.load(url);
    }
    load(url) {
      return new Promise((done, failed) => {
        const script = this.inside.document.createElement("script");
        script.src = url;
        script.onload = done;
        script.onerror = failed;
        this.inside.document.body.append(script);
      });
    }
    postMessage(data) { this.say(data); }
    terminate() { this.inside.frameElement.remove(); }
    set onmessage(listener) { this.addEventListener("message", listener); }
  };
  window.Worker = window.IFrameWorker;
}
