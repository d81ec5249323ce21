// The little that moves: a newer page takes the place of this one, clocks tick, commands are copied. Everything is there
// without it.
'use strict';
(() => {
  const live = document.getElementById('live');
  const heard = document.getElementById('status');
  // The time here minus the browser's own.
  let ahead = 0;
  let mark = null;
  let timer = 0;
  let seen = Date.now();

  const setTime = (text) => {
    const there = Date.parse(text);
    if (!Number.isNaN(there)) ahead = there - Date.now();
  };
  const now = () => Date.now() + ahead;

  // As the server says lengths: rounded down, so that nobody is told of a minute more than there is.
  const length = (milliseconds) => {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(seconds / 3600);
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${minutes} min`;
    if (seconds < 172800) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
    return `${Math.floor(seconds / 86400)} days`;
  };
  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const tick = () => {
    for (const element of document.querySelectorAll('[data-until]')) {
      const left = Date.parse(element.dataset.until) - now();
      if (element.tagName === 'PROGRESS') element.value = Math.max(0, left / 1000);
      else put(element, length(left));
    }
    for (const element of document.querySelectorAll('[data-since]')) {
      put(element, length(now() - Date.parse(element.dataset.since)));
    }
  };

  const copyButtons = () => {
    if (!navigator.clipboard) return;
    for (const box of document.querySelectorAll('.command')) {
      if (box.querySelector('.copy')) continue;
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'copy';
      button.textContent = 'Copy';
      button.addEventListener('click', async () => {
        try {
          await navigator.clipboard.writeText(box.querySelector('code').textContent);
          button.textContent = 'Copied';
          heard.textContent = 'The command was copied';
        } catch {
          getSelection().selectAllChildren(box.querySelector('code'));
          button.textContent = 'Press Ctrl+C';
        }
        setTimeout(() => { button.textContent = 'Copy'; }, 3000);
      });
      box.append(button);
    }
  };

  // What the reader did to the page outlives its renewal: what is unfolded, what is typed, where the focus is.
  const keep = (from, to) => {
    for (const fold of from.querySelectorAll('details[data-fold]')) {
      const twin = to.querySelector(`details[data-fold="${CSS.escape(fold.dataset.fold)}"]`);
      if (twin) twin.open = fold.open;
    }
    for (const kept of from.querySelectorAll('[data-keep]')) {
      const twin = to.querySelector(`[data-keep="${CSS.escape(kept.dataset.keep)}"]`);
      if (twin) twin.replaceWith(kept);
    }
  };
  const focusable = 'a[href], button, summary, input, select, textarea';
  const swap = (next) => {
    const old = document.getElementById('main');
    const place = [...old.querySelectorAll(focusable)].indexOf(document.activeElement);
    const focused = document.activeElement;
    keep(old, next);
    old.replaceWith(next);
    copyButtons();
    if (old.contains(focused) || next.contains(focused)) {
      const there = next.contains(focused) ? focused : next.querySelectorAll(focusable)[place];
      if (there) there.focus({ preventScroll: true });
    }
    document.title = next.dataset.title;
    if (old.dataset.status !== next.dataset.status) heard.textContent = next.dataset.status;
    tick();
  };

  const say = (text, stale) => {
    put(live, text);
    live.classList.toggle('stale', stale);
  };
  const clock = (time) => new Date(time).toISOString().slice(11, 19);

  const look = async () => {
    const headers = { accept: 'text/html' };
    if (mark) headers['if-none-match'] = mark;
    try {
      const answer = await fetch(location.href, { headers, cache: 'no-store', credentials: 'same-origin', redirect: 'error' });
      if (answer.status === 401 || answer.status === 403) {
        say('Signed out: reload this page', true);
        return;
      }
      if (answer.status !== 304 && !answer.ok) throw new Error(String(answer.status));
      setTime(answer.headers.get('x-keymend-time'));
      if (answer.status !== 304) {
        const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const next = page.getElementById('main');
        if (!next) throw new Error('no page');
        mark = answer.headers.get('etag');
        swap(document.adoptNode(next));
      }
      seen = now();
      say(`Live · ${clock(seen)} UTC`, false);
    } catch {
      say(`Not updated since ${clock(seen)} UTC`, true);
    }
    wait();
  };
  const wait = () => {
    clearTimeout(timer);
    const every = Number(document.getElementById('main').dataset.every);
    if (every && !document.hidden) timer = setTimeout(look, every * 1000);
  };

  setTime(document.documentElement.dataset.now);
  seen = now();
  copyButtons();
  tick();
  setInterval(tick, 1000);
  if (document.getElementById('main').dataset.every) say(`Live · ${clock(seen)} UTC`, false);
  wait();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) clearTimeout(timer);
    else if (document.getElementById('main').dataset.every) look();
  });
})();
