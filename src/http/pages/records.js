// What is on record: the ledger, page by page, and what was destroyed.

import { answerText, get } from './api.js';
import { h, heading, note, table } from './dom.js';
import { language, t, word } from './words.js';
import { pointText, spanText } from './times.js';
import { refreshButton } from './cameras.js';
import { reportPage } from './report.js';
import { monthPage, monthsPage } from './months.js';
import { registerPage } from './register.js';

const ROWS_A_PAGE = 50;
const MOST_AT_ONCE = 1000;

export function bytesText(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toLocaleString(language(), { maximumFractionDigits: unit === 0 ? 0 : 1 })} ${units[unit]}`;
}

export function count(number) {
  return number.toLocaleString(language());
}

/// Account numbers with their names, where the reader may know them.
export async function accountNames({ role }) {
  if (role !== 'officer') return new Map();
  return new Map((await get('/v1/accounts')).accounts.map((one) => [one.account, one.name]));
}

function actorText(actor, names) {
  const account = names.has(actor.account) ? names.get(actor.account) : actor.account;
  return [t(`who.${actor.who}`, { account }), actor.address && h('span', { class: 'remark' }, actor.address)];
}

/// The row's fields that say something to a person; the whole row can be opened beside them.
function details(act, names) {
  const decision = act.decision ?? {};
  const one = (key, n) => n !== null && n !== undefined && t(key, { n });
  const account = (number) => names.get(number) ?? number;
  // Of an identity check, what was seen are papers.
  const views = decision.views ?? act.views ?? (Array.isArray(act.seen) ? act.seen : undefined);
  const cameras = act.cameras ?? views?.map((view) => view.camera) ?? [act.camera ?? act.of?.camera].filter(Boolean);
  const span = act.span ?? views?.[0]?.span ?? act.of?.span;
  return [
    act.kind === 'request-decided' && word('state', decision.outcome),
    one('row.request', act.request),
    one('row.grant', act.grant ?? decision.grant ?? act.of?.grant),
    one('row.viewing', act.viewing ?? act.of?.viewing),
    act.terminal,
    act.kind === 'viewing-begun' && act.present && t('viewing.present'),
    act.how && word('viewing-end', act.how),
    act.copy === true && t('row.copy'),
    act.of?.broken_off === true && t('row.broken-off'),
    one('row.hold', act.hold ?? act.of?.hold),
    one('row.dispute', act.dispute),
    one('row.operation', act.operation),
    act.asked_by && word('asked-by', act.asked_by),
    one('row.request', act.of?.request),
    act.kind === 'hold-ordered' && word('hold.reason', act.reason),
    act.review && t('row.review', { when: pointText(act.review) }),
    act.ends && t('row.ends', { when: pointText(act.ends) }),
    act.end && word('hold.end', act.end),
    act.kind === 'destruction-confirmed' && [act.day, t('row.rows', { n: count(act.rows) }), act.failures > 0 && t('report.failures.of', { n: count(act.failures) }), act.acknowledged].filter(Boolean).join(' · '),
    act.asked && word('kind', act.asked),
    act.document && word('document', act.document),
    cameras.length > 0 && t('row.camera', { n: cameras.join(', ') }),
    span && spanText(span),
    one('row.account', act.account && account(act.account)),
    one('row.viewer', decision.viewer && account(decision.viewer)),
    act.role && word('role', act.role),
    decision.ground && word('ground', decision.ground),
    decision.exists !== undefined && t(decision.exists ? 'answer.exists' : 'answer.exists-not'),
    decision.reason ?? (act.reason && act.kind !== 'hold-ordered' && answerText(act.reason)),
    typeof act.why === 'string' && word('why', act.why),
    act.why?.kind && word('grant-end', act.why.kind),
    act.why?.ground && word('revocation', act.why.ground),
    one('row.intended', act.intended),
    act.frames !== undefined && t('row.frames', { n: count(act.frames) }),
    act.segments !== undefined && t('row.segments', { n: count(act.segments) }),
    act.bytes !== undefined && bytesText(act.bytes),
    act.trigger && word('trigger', act.trigger),
    act.overwrite && word('overwrite', act.overwrite),
    one('row.version', act.version),
    act.demo === true && t('row.demo'),
  ].filter(Boolean).join(' · ');
}

function asWritten(row) {
  return h('details', {}, h('summary', {}, t('ledger.raw')), h('pre', { tabindex: '0' }, JSON.stringify(row, null, 2)));
}

function pages(house, first, last, total) {
  const to = (end, text, key) => h('button', { type: 'button', disabled: end === null, id: key, onclick: () => house.go(`${house.path[0]}/${end}`) }, text);
  return h('nav', { class: 'pages', 'aria-label': t('ledger.pages') },
    to(last < total ? Math.min(last + ROWS_A_PAGE, total) : null, `← ${t('ledger.newer')}`, 'newer'),
    h('span', {}, t('ledger.page', { first: count(first), last: count(last) })),
    to(first > 1 ? first - 1 : null, `${t('ledger.older')} →`, 'older'));
}

/// The newest rows first; `#/ledger/150` shows the rows that end with the 150th.
export async function ledgerPage(house) {
  if (house.path[1] === 'months') return monthsPage(house);
  if (house.path[1] === 'month') return monthPage(house);
  if (house.path[1] === 'register') return registerPage(house);
  const [head, names] = await Promise.all([get('/v1/ledger/head'), accountNames(house.session)]);
  const last = Math.min(Number(house.path[1]) || head.sequence, head.sequence);
  const after = Math.max(last - ROWS_A_PAGE, 0);
  const { rows } = await get(`/v1/ledger?after=${after}&limit=${Math.max(last - after, 1)}`);
  const title = h('div', { class: 'title' }, heading(t('ledger.title')), refreshButton(house));
  const stopped = !head.writable && h('div', { class: 'box problem', role: 'alert' }, h('p', {}, t('ledger.stopped')));
  if (rows.length === 0) return [title, stopped, note(t('ledger.empty'))].filter(Boolean);
  return [
    title,
    stopped,
    h('p', { class: 'links' }, h('a', { href: '#/ledger/months' }, t('months.title')), ' · ', h('a', { href: '#/ledger/register' }, t('register.title'))),
    h('p', { class: 'digest' }, `${t('ledger.head', { rows: count(head.sequence) })}: `, h('code', {}, head.digest)),
    table(t('ledger.page', { first: count(rows[0].sequence), last: count(rows.at(-1).sequence) }), [
      [t('col.number'), (row) => count(row.sequence), 'number'],
      [t('ledger.when'), (row) => h('time', { datetime: row.at }, pointText(row.at))],
      [t('ledger.who'), (row) => actorText(row.actor, names)],
      [t('ledger.what'), (row) => word('act', row.act.kind)],
      [t('ledger.details'), (row) => [h('p', {}, details(row.act, names)), asWritten(row)], 'broad'],
    ], rows.toReversed()),
    pages(house, rows[0].sequence, rows.at(-1).sequence, head.sequence),
  ].filter(Boolean);
}

/// The daemon hands them out oldest first, so many at a time.
async function readDestructions() {
  const all = [];
  for (let after = 0; after !== null;) {
    const { destructions, next } = await get(`/v1/destructions?after=${after}&limit=${MOST_AT_ONCE}`);
    all.push(...destructions);
    after = next;
  }
  return all;
}

function daysTable(days) {
  const state = (one) => {
    if (!one.is_over) return h('span', { class: 'state' }, t('days.not-over'));
    if (one.is_confirmed) return h('span', { class: 'state overwrite-proven' }, t('days.confirmed'));
    return h('span', { class: 'state identified' }, t(one.has_later_rows ? 'days.later-rows' : 'days.unconfirmed'));
  };
  return table(t('days.title'), [
    [t('days.day'), (one) => h('a', { href: `#/destructions/day/${one.day}`, class: 'row-link' }, one.day)],
    [t('col.state'), state],
    [t('destructions.segments'), (one) => count(one.segments), 'number'],
    [t('destructions.bytes'), (one) => bytesText(one.bytes), 'number'],
    [t('report.failures'), (one) => (one.failures > 0 ? h('strong', { class: 'late' }, count(one.failures)) : t('none')), 'number'],
    [t('report.confirmed.at'), (one) => (one.confirmed ? pointText(one.confirmed.at) : '–')],
  ], days);
}

/// The days that are to be confirmed, then single destructions, the newest first; `#/destructions/50` shows the page that
/// ends with the 50th, `#/destructions/day/2026-11-25` a day's report.
export async function destructionsPage(house) {
  if (house.path[1] === 'day') return reportPage(house);
  const [destructions, { days }] = await Promise.all([readDestructions(), get('/v1/destructions/days')]);
  const title = h('div', { class: 'title' }, heading(t('destructions.title')), refreshButton(house));
  if (destructions.length === 0) return [title, note(t('destructions.empty'))];
  const waiting = days.filter((one) => one.is_over && !one.is_confirmed).length;
  const last = Math.min(Number(house.path[1]) || destructions.length, destructions.length);
  const first = Math.max(last - ROWS_A_PAGE, 0) + 1;
  return [
    title,
    waiting > 0 && note(t('days.waiting', { n: count(waiting) }), 'warning'),
    daysTable(days),
    table(t('ledger.page', { first: count(first), last: count(last) }), [
      [t('destructions.when'), (row) => h('time', { datetime: row.at }, pointText(row.at))],
      [t('col.camera'), (row) => String(row.act.camera), 'number'],
      [t('col.span'), (row) => spanText(row.act.span)],
      [t('destructions.segments'), (row) => count(row.act.segments), 'number'],
      [t('destructions.bytes'), (row) => bytesText(row.act.bytes), 'number'],
      [t('destructions.trigger'), (row) => word('trigger', row.act.trigger)],
      [t('destructions.overwrite'), (row) => h('span', { class: `state overwrite-${row.act.overwrite}` }, word('overwrite', row.act.overwrite))],
      [t('destructions.technique'), (row) => [h('span', { lang: 'en' }, row.act.technique), asWritten(row)]],
    ], destructions.slice(first - 1, last).toReversed()),
    pages(house, first, last, destructions.length),
  ].filter(Boolean);
}
