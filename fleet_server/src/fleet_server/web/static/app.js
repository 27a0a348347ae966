// The few things that neither HTML nor htmx does: clocks, copying, announcing changes, and keeping what the reader opened.
"use strict";

(() => {
  const STEPS = [[90, 1, "s"], [5400, 60, "min"], [129600, 3600, "h"], [Infinity, 86400, "d"]];

  // The same words as `relative` in words.py.
  function relative(seconds) {
    const distance = Math.abs(seconds);
    if (distance < 5) return "just now";
    const [, divisor, unit] = STEPS.find(([limit]) => distance < limit);
    const text = `${Math.round(distance / divisor)} ${unit}`;
    return seconds > 0 ? `in ${text}` : `${text} ago`;
  }

  // The server's clock, not this machine's, is what times on the page are measured against.
  const served = Date.parse(document.documentElement.dataset.now);
  const offset = Number.isNaN(served) ? 0 : served - Date.now();

  function tick() {
    for (const element of document.querySelectorAll("time[datetime]")) {
      const text = relative((Date.parse(element.dateTime) - Date.now() - offset) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      say(button, "Copied");
    } catch {
      getSelection().selectAllChildren(source);
      say(button, "Selected: press Ctrl+C");
    }
  });

  function say(button, text) {
    button.dataset.label ??= button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
  }

  // A live region is drawn anew as a whole: what the reader had opened in it stays open, and the focus where it was.
  let opened = [];
  let focused = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((element) => element.id);
    focused = event.detail.target.contains(document.activeElement) ? document.activeElement.id : "";
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    tick();
    announce();
  });

  function announce() {
    const news = document.querySelector("[data-announce]")?.dataset.announce;
    const voice = document.getElementById("voice");
    if (news && voice && voice.textContent !== news) voice.textContent = news;
  }

  const live = document.getElementById("live-state");
  function connected(yes) {
    if (live) live.hidden = yes;
  }
  document.addEventListener("htmx:sseOpen", () => connected(true));
  document.addEventListener("htmx:sseError", () => connected(false));

  // One menu at a time.
  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.menu[open]")) {
      for (const other of document.querySelectorAll("details.menu[open]")) {
        if (other !== event.target) other.removeAttribute("open");
      }
    }
  }, true);

  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (menu) {
      menu.removeAttribute("open");
      menu.querySelector("summary").focus();
    }
  });

  tick();
  setInterval(tick, 5000);
})();
