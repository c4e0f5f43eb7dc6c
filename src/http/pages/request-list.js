// The requests as lists, so many lines at a time: what waits for a decision, all others, and what is looked for by number, time,
// state, camera or name.

import { get, post } from './api.js';
import { field, form, h, heading, note, problemBox, select, table, typed } from './dom.js';
import { t, word } from './words.js';
import { daysLeft, fromLocalInput, pointText, spanText } from './times.js';
import { cameraText, readCameras, refreshButton } from './cameras.js';

/// As many lines as one part has.
const LINES = 50;
/// States in which the ten days run (PIPA 35, Decree 41).
export const UNDECIDED = ['submitted', 'identified', 'postponed', 'objected'];
/// States that an officer can decide.
export const DECIDABLE = ['identified', 'postponed', 'objected'];
const STATES = [
  ...UNDECIDED, 'approved', 'partly', 'confirmed', 'refused', 'erased', 'unavailable', 'delivered', 'withdrawn', 'closed',
];

export function stateMark(state) {
  return h('span', { class: `state ${state}` }, word('state', state));
}

export function dueText(request) {
  const days = daysLeft(request.due);
  const date = h('span', {}, pointText(request.due));
  if (!UNDECIDED.includes(request.state)) return date;
  const late = days < 0;
  const key = late ? (days === -1 ? 'due.late-one' : 'due.late') : days === 0 ? 'due.today' : days === 1 ? 'due.one' : 'due.left';
  return [h('strong', { class: late ? 'late' : days < 3 ? 'soon' : '' }, t(key, { n: Math.abs(days) })), h('span', { class: 'remark' }, date)];
}

function requestsTable(caption, requests) {
  return table(caption, [
    [t('col.number'), (request) => h('a', { href: `#/requests/${request.number}`, class: 'row-link', 'aria-label': t('request.title', { number: request.number }) }, String(request.number)), 'number'],
    [t('col.state'), (request) => stateMark(request.state)],
    [t('col.due'), dueText],
    [t('col.kind'), (request) => word('kind', request.kind)],
    [t('col.person'), (request) => request.person?.name ?? '–'],
    [t('col.cameras'), (request) => request.cameras.join(', ')],
    [t('col.span'), (request) => spanText(request.span)],
  ], requests);
}

/// A list that goes on: `ask` brings the part behind what it is given, and a button the next one. `left`: what is said where
/// nothing is in it.
async function goingOn(caption, ask, left) {
  const shown = h('div', { class: 'listing' });
  const all = [];
  const add = async (after) => {
    const { requests, next } = await ask(after);
    all.push(...requests);
    const more = next !== null && h('button', {
      type: 'button', class: 'more',
      onclick: async ({ currentTarget: button }) => {
        const known = all.length;
        button.disabled = true;
        try {
          await add(next);
          shown.querySelectorAll('.row-link')[known]?.focus();
        } catch (problem) {
          button.disabled = false;
          button.before(problemBox(problem));
        }
      },
    }, t('requests.more'));
    shown.replaceChildren(...[
      all.length > 0 && requestsTable(caption, all),
      all.length === 0 && !more && left,
      more,
    ].filter(Boolean));
  };
  await add(null);
  return shown;
}

function listed(asked, isWanted = () => true) {
  return async (after) => {
    const query = new URLSearchParams({ ...asked, limit: LINES, ...(after !== null && { after }) });
    const { requests, next } = await get(`/v1/requests?${query}`);
    return { requests: requests.filter(isWanted), next };
  };
}

/// How many wait for an answer, and how many have waited too long.
function waitingNote({ requests_unanswered: waiting, requests_overdue: overdue, next_due: next }) {
  if (overdue > 0) return h('div', { class: 'box problem', role: 'alert', id: 'overdue' }, h('p', {}, t('requests.overdue', { n: overdue })));
  return waiting > 0 && next && note(t('requests.next-due', { n: waiting, when: pointText(next) }));
}

/// By name: staff and officers alone, and each time is a row.
function nameForm() {
  const found = h('div', { id: 'found' });
  return h('details', { id: 'search' }, h('summary', {}, t('search.title')), form({ id: 'by-name' }, async (element) => {
    const name = typed(element, 'name');
    const search = (before) => post('/v1/requests/search', { name, ...(before !== null && { before }) });
    found.replaceChildren(await goingOn(t('search.found'), search, note(t('search.nothing'))));
  },
  field(t('search.name'), h('input', { name: 'name', autocomplete: 'off', minlength: '2' }), { hint: t('search.hint') }),
  h('button', { type: 'submit' }, t('search.send'))), found);
}

/// By number, time, state and camera: everybody who reads requests.
function filterForm(cameras) {
  const found = h('div', { id: 'filtered' });
  const any = [['', t('filter.any')]];
  const time = (name) => h('input', { type: 'datetime-local', name, step: '1' });
  return h('details', { id: 'filter' }, h('summary', {}, t('filter.title')), form({ id: 'by-facts' }, async (element) => {
    const asked = {};
    for (const name of ['number', 'state', 'camera']) {
      const text = typed(element, name);
      if (text !== null) asked[name] = text;
    }
    const [from, to] = ['from', 'to'].map((name) => fromLocalInput(typed(element, name)));
    // One end alone: from the beginning, or until now.
    if (from || to) Object.assign(asked, { from: from ?? new Date(0).toISOString(), to: to ?? new Date().toISOString() });
    found.replaceChildren(await goingOn(t('search.found'), listed(asked), note(t('search.nothing'))));
  },
  h('div', { class: 'pair' },
    field(t('filter.number'), h('input', { type: 'number', name: 'number', min: '1', step: '1' }), { optional: true }),
    field(t('col.state'), select('state', [...any, ...STATES.map((one) => [one, word('state', one)])]), { optional: true })),
  h('div', { class: 'pair' },
    field(t('filter.from'), time('from'), { optional: true }),
    field(t('filter.to'), time('to'), { optional: true })),
  field(t('col.camera'), select('camera', [...any, ...cameras.map((one) => [one.number, cameraText(cameras, one.number)])]), { optional: true }),
  h('button', { type: 'submit' }, t('search.send'))), found);
}

/// All that can be decided, what is due first.
async function readWaiting() {
  const parts = await Promise.all(DECIDABLE.map((state) => get(`/v1/requests?state=${state}`)));
  return parts.flatMap(({ requests }) => requests).sort((a, b) => a.due.localeCompare(b.due));
}

export async function requestsPage(house) {
  const { role } = house.session;
  const decides = role === 'officer';
  const left = note(t('requests.empty'));
  const rest = goingOn(t(decides ? 'requests.others' : 'requests.all'), listed({}, (one) => !decides || !DECIDABLE.includes(one.state)), decides ? null : left);
  const [all, waiting, duties, cameras] = await Promise.all([rest, decides ? readWaiting() : [], get('/v1/duties'), readCameras()]);
  const head = h('div', { class: 'title' }, heading(t('requests.title')),
    role === 'staff' && h('a', { class: 'button main', href: '#/new' }, t('requests.new')), refreshButton(house));
  if (waiting.length === 0 && !all.hasChildNodes()) return [head, left];
  return [
    head,
    waitingNote(duties),
    decides && (waiting.length > 0 ? requestsTable(t('requests.waiting'), waiting) : note(t('requests.nothing-waiting'))),
    all,
    filterForm(cameras),
    role !== 'auditor' && nameForm(),
  ].filter(Boolean);
}
