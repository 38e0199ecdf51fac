"use strict";

/*
 * What tests do to the page's clocks and to those of its server, before the page is loaded: `faults.serverMs` is what the
 * server's clock is ahead by, `faults.wallMs` what this machine's is, `faults.earlyMs` how long before they are due ticks come. The clock that never steps stays as it is: after a
 * sleep it is the others that have gone on.
 */
(() => {
  const faults = { serverMs: 0, wallMs: 0, earlyMs: 0, shown: [] };
  const wallNow = Date.now;
  Date.now = () => wallNow() + faults.wallMs;

  const TIMES = new Map([["tick", [2, 3]], ["pong", [2]]]);
  const shifted = (text) => {
    const frame = JSON.parse(text);
    for (const command of frame) {
      for (const place of TIMES.get(command[0]) ?? []) command[place] += 1000 * faults.serverMs;
      if (command[0] === "tick") command[2] += 1000 * faults.earlyMs;
    }
    return JSON.stringify(frame);
  };
  window.WebSocket = class extends WebSocket {
    set onmessage(handler) {
      super.onmessage = ({ data }) => handler({ data: shifted(data) });
    }
  };

  /* All that the page ever shows as its tick lateness, and its estimate of the clock. */
  document.addEventListener("DOMContentLoaded", () => {
    const note = () => {
      const cells = [...document.querySelectorAll("#lateness-row td"), document.getElementById("uncertainty")];
      faults.shown.push(cells.map((cell) => cell.textContent));
    };
    new MutationObserver(note).observe(document.getElementById("play-screen"), { subtree: true, childList: true });
  });
  window.faults = faults;
})();
