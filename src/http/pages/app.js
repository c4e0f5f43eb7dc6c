// The frame around every page: who is signed in, which page is open, in which language; and when to sign out.

import { get, post, remove, whenSessionEnds, Problem } from './api.js';
import { h, heading, field, form, typed, note, problemBox, whenReloadWanted } from './dom.js';
import { language, otherLanguage, switchLanguage, t, word } from './words.js';
import { zoneText } from './times.js';
import { requestsPage } from './request-list.js';
import { requestPage } from './requests.js';
import { lettersPage } from './letters.js';
import { newRequestPage } from './new-request.js';
import { holdsPage } from './holds.js';
import { operationsPage } from './operations.js';
import { grantPage, grantsPage } from './grants.js';
import { watchPage } from './watch.js';
import { ledgerPage, destructionsPage } from './records.js';
import { camerasPage } from './cameras.js';
import { clockBanner, clockPage } from './clock.js';
import { accountPage, firstPasswordForm, renewalForm } from './account.js';
import { peoplePage } from './people.js';
import { reviewNote } from './months.js';
import { copiesPage } from './register.js';
import { codeField, postWithPassword } from './password.js';

const IDLE_LIMIT_MS = 10 * 60_000;
const IDLE_WARNING_MS = 60_000;

/// What a role finds in its menu, its first page first.
const MENUS = {
  staff: ['requests', 'new', 'copies', 'operations', 'cameras', 'account'],
  officer: ['requests', 'holds', 'grants', 'destructions', 'copies', 'ledger', 'operations', 'cameras', 'people', 'clock', 'account'],
  viewer: ['grants', 'account'],
  auditor: ['ledger', 'destructions', 'holds', 'requests', 'operations', 'people', 'account'],
  installer: ['cameras', 'account'],
};
const PAGES = {
  requests: (house) => {
    if (house.path[2] === 'letters') return lettersPage(house);
    return house.path[1] ? requestPage(house) : requestsPage(house);
  },
  new: newRequestPage,
  holds: holdsPage,
  operations: operationsPage,
  grants: (house) => (house.path[2] ? watchPage(house) : house.path[1] ? grantPage(house) : grantsPage(house)),
  destructions: destructionsPage,
  ledger: ledgerPage,
  cameras: camerasPage,
  clock: clockPage,
  copies: copiesPage,
  people: peoplePage,
  account: accountPage,
};

const app = document.getElementById('app');
const idleNote = h('div', { class: 'idle', role: 'status' });
let session = null;
let demo = false;
/// What the daemon last said of its clock.
let clock = null;
/// Said once, at the head of the next page.
let message = null;
/// Counts the pages opened: one that comes late is dropped.
let opened = 0;
let leavePage = () => {};
let lastTouched = performance.now();

/// Opens `#/…`; where it is open already, opens it anew.
function go(path, said = null) {
  message = said;
  if (location.hash === `#/${path}`) show();
  else location.hash = `/${path}`;
}

function signedOut(said) {
  if (session === null) return;
  session = null;
  message = said;
  // Nothing of what this person saw stays in the address.
  history.replaceState(null, '', '#/');
  show();
}

async function signOut(said) {
  try {
    await remove('/v1/session');
  } catch {
    // The session has ended already, or the daemon is away: this page forgets it either way.
  }
  signedOut(said);
}

function frame(content) {
  document.documentElement.lang = language();
  const menu = session ? MENUS[session.role] ?? [] : [];
  const here = location.hash.split('/')[1] || menu[0];
  const toggle = h('button', {
    type: 'button', class: 'plain', lang: otherLanguage(), id: 'language',
    onclick: () => {
      switchLanguage();
      show().then(() => document.getElementById('language')?.focus());
    },
  }, t('switch'));
  app.replaceChildren(...[
    h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); focusPage(); } }, t('skip')),
    demo && h('p', { class: 'banner', role: 'note', id: 'demo' }, t('demo')),
    session && clockBanner(clock),
    h('header', {},
      h('div', { class: 'bar' },
        h('p', { class: 'brand' }, h('strong', {}, 'Custodian'), h('span', {}, t('product'))),
        h('div', { class: 'who' },
          session && h('span', { id: 'who' }, `${session.name} · ${word('role', session.role)}`),
          toggle,
          session && h('button', { type: 'button', class: 'plain', id: 'sign-out', onclick: () => signOut(t('signin.bye')) }, t('signout')))),
      menu.length > 1 && h('nav', { 'aria-label': t('nav') }, h('ul', {}, menu.map((name) =>
        h('li', {}, h('a', { href: `#/${name}`, 'aria-current': name === here && 'page' }, t(`nav.${name}`))))))),
    idleNote,
    h('main', { id: 'main' }, content),
    h('footer', {}, h('p', {}, t('zone', { zone: zoneText() }))),
  ].filter(Boolean));
}

function focusPage() {
  const title = document.querySelector('main h1');
  title?.focus();
  title?.scrollIntoView({ block: 'nearest' });
}

function signInPage(said) {
  const name = h('input', { name: 'name', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' });
  const password = h('input', { name: 'password', type: 'password', autocomplete: 'current-password' });
  return [
    h('div', { class: 'narrow' },
      heading(t('signin.title')),
      said && note(said),
      form({ class: 'card', id: 'sign-in' }, async (element) => {
        const credentials = { name: typed(element, 'name'), password: password.value };
        try {
          session = await postAtSignIn(credentials);
          password.value = '';
        } catch (problem) {
          // The code is what is missing; the password need not be typed again.
          if (problem.slug !== 'second-factor-wanted') password.value = '';
          throw problem;
        }
        demo = session.demo;
        lastTouched = performance.now();
        go(session.must_set_second_factor ? 'account' : MENUS[session.role]?.[0] ?? '');
      },
      field(t('signin.name'), name),
      field(t('signin.password'), password),
      codeField(),
      h('button', { type: 'submit', class: 'main' }, t('signin.send'))),
      h('p', { class: 'hint' }, t('signin.why')),
      h('details', {}, h('summary', { id: 'first' }, t('first.title')), firstPasswordForm(signedOutSaying)),
      h('details', {}, h('summary', { id: 'renew' }, t('renew.title')), renewalForm(signedOutSaying))),
  ];
}

/// At sign-in the name may be as wrong as the password, and so the problem stays what it is.
async function postAtSignIn(credentials) {
  try {
    return await postWithPassword('/v1/session', credentials);
  } catch (problem) {
    if (problem.slug === 'wrong-password') problem.slug = 'wrong-credentials';
    throw problem;
  }
}

function signedOutSaying(said) {
  message = said;
  show();
}

/// Draws the page that the address names.
async function show() {
  const turn = ++opened;
  const said = message;
  message = null;
  leavePage();
  leavePage = () => {};
  if (session === null) {
    document.title = `${t('signin.title')} · Custodian`;
    frame(signInPage(said));
    document.querySelector(said ? 'main h1' : '#sign-in input').focus();
    return;
  }
  const path = location.hash.replace(/^#\//, '').split('/');
  const menu = MENUS[session.role] ?? [];
  if (session.must_set_second_factor) path.splice(0, path.length, 'account');
  else if (!menu.includes(path[0])) path.splice(0, path.length, menu[0]);
  frame(h('p', { class: 'loading', role: 'status' }, t('loading')));
  const house = {
    session, path, go,
    refresh: (text = null) => { message = text; return show(); },
    whenLeft: (act) => { if (turn === opened) leavePage = act; else act(); },
  };
  let content;
  try {
    const isFirst = path[0] === MENUS[session.role]?.[0] && path.length === 1;
    const waits = isFirst ? reviewNote(session).catch(() => null) : null;
    [clock, content] = await Promise.all([get('/v1/clock').catch(() => null), PAGES[path[0]](house)]);
    content = [await waits, content].flat();
  } catch (problem) {
    content = [heading(t(`nav.${path[0]}`)), problemBox(problem)];
    if (!(problem instanceof Problem)) console.error(problem.stack);
  }
  if (turn !== opened || session === null) return;
  frame([said && note(said, 'done'), content].flat().filter(Boolean));
  document.title = `${document.querySelector('main h1')?.textContent ?? ''} · Custodian`;
  focusPage();
}

/// A screen that nobody sits at shows nobody's data. A playing video counts as somebody watching.
function watchIdleness() {
  const touched = () => {
    lastTouched = performance.now();
    idleNote.replaceChildren();
  };
  for (const kind of ['pointerdown', 'keydown', 'wheel', 'touchstart']) addEventListener(kind, touched, { passive: true });
  setInterval(() => {
    if (session === null) return;
    const video = document.querySelector('video');
    if (video && !video.paused && !video.ended) touched();
    const idle = performance.now() - lastTouched;
    if (idle >= IDLE_LIMIT_MS) {
      touched();
      signOut(t('signin.idle'));
    } else if (idle >= IDLE_LIMIT_MS - IDLE_WARNING_MS && !idleNote.hasChildNodes()) {
      idleNote.replaceChildren(h('p', {}, t('idle.soon')));
    }
  }, 1000);
}

async function start() {
  whenSessionEnds(() => signedOut(t('signin.expired')));
  whenReloadWanted(() => show());
  addEventListener('hashchange', show);
  // Where two clicks follow on each other the second one meets a page that nobody has looked at yet.
  addEventListener('click', (event) => {
    if (event.detail > 1 && event.target.closest?.('button[type=submit]')) event.preventDefault();
  }, true);
  try {
    demo = (await get('/v1/health')).demo;
    session = await get('/v1/session');
    demo = session.demo;
  } catch (problem) {
    // Nobody is signed in; anything else is said at the next question.
    if (problem.status === 0) message = t('problem.unreachable');
  }
  watchIdleness();
  await show();
}

start();
