/* Fetches the panels anew while the page is looked at. */
"use strict";

(function () {
  const bar = document.querySelector("[data-live]");
  if (!bar) return;
  const toggle = bar.querySelector("[data-toggle]");
  const status = bar.querySelector("[data-status]");
  const problems = document.querySelector("[data-problems]");
  const every = Number(bar.dataset.every) * 1000;
  const LATER_EVERY = 30000;
  const PATIENCE = 30000;
  const shown = new Map(); // By the panel's name: its HTML as it came.
  const asked = new Map(); // By the panel's name: when a slow one was asked for.
  let timer = null;
  let isBusy = false;
  let isWanted = false;
  let hasFailed = false;

  bar.hidden = false;

  function isLive() {
    return toggle.getAttribute("aria-pressed") === "true";
  }

  /* Told to screen readers: what the user has asked for, and what went wrong; not each refresh. */
  function say(text) {
    status.textContent = text;
  }

  /* Raises what `excuse` explains. A site that never answers is not waited for, either. */
  async function fetched(url) {
    const aborting = new AbortController();
    const waiting = setTimeout(() => aborting.abort(), PATIENCE);
    try {
      const options = { headers: { Accept: "application/json" }, signal: aborting.signal };
      const response = await fetch(url, options);
      const type = response.headers.get("Content-Type") || "";
      if (response.status >= 500) {
        throw new Error(`The site fails (status ${response.status}). The figures are old.`);
      }
      if (!response.ok || response.redirected || !type.startsWith("application/json")) {
        throw new Error("You are signed out, or may not see this any more. Reload the page.");
      }
      return await response.json();
    } finally {
      clearTimeout(waiting);
    }
  }

  function excuse(error) {
    const isAway = error instanceof TypeError || error.name === "AbortError";
    return isAway ? "The site does not answer. The figures are old." : error.message;
  }

  /* Where the focus is within a panel, to put it back when the panel's HTML is new. */
  function focusIn(panel) {
    const focused = document.activeElement;
    if (!panel.contains(focused)) return () => {};
    const [start, end] = [focused.selectionStart, focused.selectionEnd];
    const same = (root) =>
      [...root.querySelectorAll("a[href], button, input, summary, th[tabindex], [tabindex='0']")];
    const at = same(panel).indexOf(focused);
    const { id } = focused;
    return () => {
      if (document.activeElement === focused) return;
      const found = (id && document.getElementById(id)) || same(panel)[at];
      if (!found) return;
      found.focus({ preventScroll: true });
      if (start !== null && start !== undefined && found.setSelectionRange) {
        found.setSelectionRange(start, end);
      }
    };
  }

  function show(name, html) {
    const panel = document.querySelector(`[data-panel="${name}"]`);
    if (!panel || shown.get(name) === html) return;
    shown.set(name, html);
    const putFocusBack = focusIn(panel);
    const open = [...panel.querySelectorAll("details[open]")].map((each) => each.id);
    panel.innerHTML = html;
    panel.removeAttribute("aria-busy");
    panel.dispatchEvent(new CustomEvent("cachepatterns:shown", { bubbles: true }));
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    putFocusBack();
  }

  function showAll(data) {
    for (const [name, html] of Object.entries(data.panels)) show(name, html);
    bar.querySelector("[data-updated]").textContent = data.updated;
  }

  function showProblems(texts) {
    const told = texts.map((text) => {
      const line = document.createElement("p");
      line.className = "errornote";
      line.textContent = text;
      return line;
    });
    const before = problems.textContent.trim();
    problems.replaceChildren(...told);
    if (texts.length && before !== problems.textContent.trim()) say(texts.join(" "));
  }

  async function showLater(isForced) {
    for (const panel of document.querySelectorAll("[data-later]")) {
      const { panel: name, later } = panel.dataset;
      const last = asked.get(name);
      if (!isForced && last !== undefined && performance.now() - last < LATER_EVERY) continue;
      asked.set(name, performance.now());
      const data = await fetched(later);
      if (data.panels[name]) show(name, data.panels[name]);
      else show(name, "<p class='cp-quiet'>Not known while the cache server does not answer.</p>");
    }
  }

  async function refresh(isForced) {
    if (isBusy) {
      isWanted = isWanted || Boolean(isForced); // By the user, who is not to ask twice.
      return;
    }
    isBusy = true;
    try {
      const data = await fetched(bar.dataset.live);
      showAll(data);
      showProblems(data.problems);
      await showLater(isForced);
      if (isForced) say("The figures are new.");
      else if (hasFailed) say("The figures are new again.");
      hasFailed = false;
    } catch (error) {
      if (!hasFailed || isForced) showProblems([excuse(error)]);
      hasFailed = true;
    } finally {
      isBusy = false;
      if (isWanted) {
        isWanted = false;
        refresh(true);
      } else {
        schedule();
      }
    }
  }

  function schedule() {
    clearTimeout(timer);
    if (isLive() && !document.hidden) timer = setTimeout(() => refresh(), every);
  }

  toggle.addEventListener("click", () => {
    const live = !isLive();
    toggle.setAttribute("aria-pressed", String(live));
    say(live ? "The figures are live." : "The figures stand still.");
    if (live) refresh(true);
    else schedule();
  });
  bar.querySelector("[data-refresh]").addEventListener("click", () => refresh(true));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isLive()) refresh();
    else schedule();
  });
  showLater().catch(() => {}).finally(schedule);
})();
