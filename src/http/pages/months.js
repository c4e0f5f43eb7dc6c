// The ledger's months, and an officer's review of each: counts, what stands out, and the rows behind it.

import { get } from './api.js';
import { field, form, h, heading, note, section, table, typed } from './dom.js';
import { has, t, word } from './words.js';
import { pointText, spanText } from './times.js';
import { refreshButton } from './cameras.js';
import { accountNames, count } from './records.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

/// What waits, for the head of an officer's first page; null where nothing does.
export async function reviewNote(session) {
  if (session.role !== 'officer') return null;
  const { months } = await get('/v1/ledger/months');
  const waiting = months.filter((one) => one.last !== null && one.reviewed === null);
  if (waiting.length === 0) return null;
  const late = waiting.some((one) => one.is_overdue);
  return h('div', { class: `box ${late ? 'problem' : 'warning'}`, role: 'status', id: 'review-note' },
    h('p', {}, t(late ? 'months.overdue' : 'months.waiting', { n: count(waiting.length) }), ' ',
      h('a', { href: '#/ledger/months' }, t('months.open'))));
}

function stateOf(one) {
  if (one.last === null) return h('span', { class: 'state' }, t('days.not-over'));
  if (one.reviewed) return h('span', { class: 'state overwrite-proven' }, t('months.reviewed'));
  return h('span', { class: one.is_overdue ? 'state refused' : 'state identified' }, t(one.is_overdue ? 'months.late' : 'months.unreviewed'));
}

export async function monthsPage(house) {
  const [{ months }, names] = await Promise.all([get('/v1/ledger/months'), accountNames(house.session)]);
  return [
    h('p', { class: 'back' }, h('a', { href: '#/ledger' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('months.title')), refreshButton(house)),
    note(t('months.why')),
    table(t('months.title'), [
      [t('months.month'), (one) => (one.last === null ? one.month : h('a', { href: `#/ledger/month/${one.month}`, class: 'row-link' }, one.month))],
      [t('col.state'), stateOf],
      [t('months.rows'), (one) => (one.last === null ? `${count(one.first)} –` : `${count(one.first)} – ${count(one.last)}`)],
      [t('months.due'), (one) => (one.due && !one.reviewed ? pointText(one.due) : '–')],
      [t('months.by'), (one) => (one.reviewed ? `${names.get(one.reviewed.by) ?? one.reviewed.by}, ${pointText(one.reviewed.at)}` : '–')],
    ], months),
  ];
}

function kindText(kind) {
  return has(`act.${kind}`) ? t(`act.${kind}`) : kind;
}

function counts(summary) {
  const line = (name, value) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, count(value)));
  return h('table', { class: 'form-head' }, h('caption', {}, t('month.counts')), h('tbody', {},
    line(t('month.rows'), summary.rows),
    line(t('month.sign-ins'), summary.sign_ins),
    line(t('month.failed'), summary.failed_sign_ins),
    line(t('month.grants-viewed'), summary.grants_viewed),
    line(t('month.views'), summary.views),
    line(t('month.outside'), summary.views_outside_hours),
    line(t('month.refused'), summary.views_refused),
    line(t('month.reads'), summary.ledger_reads),
    line(t('month.exports'), summary.exports),
    line(t('month.rights'), summary.rights_changes.length),
    line(t('month.odd'), summary.odd_total)));
}

/// A link to the page of the ledger that ends with a row.
function rowLink(row) {
  return h('a', { href: `#/ledger/${row}` }, count(row));
}

/// A plain table, also on a phone: it is a form.
function formTable(caption, columns, rows) {
  return h('div', { class: 'sheet' }, h('table', { class: 'form-rows' },
    h('caption', {}, caption),
    h('thead', {}, h('tr', {}, columns.map(([title]) => h('th', { scope: 'col' }, title)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, columns.map(([, cell]) => h('td', {}, cell(row))))))));
}

function oddTable(summary, names) {
  if (summary.odd.length === 0) return h('p', {}, t('month.odd.none'));
  return formTable(t('month.odd'), [
    [t('col.number'), (one) => rowLink(one.row)],
    [t('ledger.when'), (one) => pointText(one.at)],
    [t('ledger.what'), (one) => word('odd', one.what)],
    [t('ledger.who'), (one) => [one.account && (names.get(one.account) ?? t('row.account', { n: one.account })), one.address && h('span', { class: 'remark' }, one.address)].filter(Boolean)],
    [t('ledger.details'), (one) => [one.request && t('row.request', { n: one.request }), one.camera && t('row.camera', { n: one.camera }), one.span && spanText(one.span)].filter(Boolean).join(' · ')],
  ], summary.odd);
}

function reviewForm(house, view) {
  const wanted = view.summary.odd_total > 0;
  const [password, passwordLine] = passwordField(house, t('report.confirm.password'));
  const remarks = h('textarea', { name: 'remarks', rows: '3' });
  return section(t('month.review'), form({ id: 'review-month' }, async (element) => {
    const said = typed(element, 'remarks');
    await postWithPassword(`/v1/ledger/months/${view.summary.month}/review`, {
      summary: view.digest,
      ...(said !== null && { remarks: said }),
      password: takePassword(password),
    });
    await house.refresh(t('month.review.done'));
  },
  h('p', {}, t('month.review.why')),
  field(t('month.remarks'), remarks, { hint: t('month.remarks.hint'), optional: !wanted }),
  passwordLine,
  h('button', { type: 'submit', class: 'main' }, t('month.review.send'))));
}

function reviewedBox(view, names) {
  const { reviewed } = view;
  return h('table', { class: 'form-head' }, h('caption', {}, t('month.review')), h('tbody', {},
    h('tr', {}, h('th', { scope: 'row' }, t('months.by')), h('td', {}, `${names.get(reviewed.by) ?? reviewed.by}, ${pointText(reviewed.at)}`)),
    h('tr', {}, h('th', { scope: 'row' }, t('report.confirmed.row')), h('td', {}, rowLink(reviewed.row))),
    reviewed.remarks && h('tr', {}, h('th', { scope: 'row' }, t('month.remarks')), h('td', { class: 'said' }, reviewed.remarks)),
    h('tr', {}, h('th', { scope: 'row' }, t('report.signature')), h('td', {}, h('span', { class: 'sign' })))));
}

export async function monthPage(house) {
  const month = house.path[2];
  const [view, names] = await Promise.all([get(`/v1/ledger/months/${encodeURIComponent(month)}`), accountNames(house.session)]);
  const { summary } = view;
  const failed = summary.failed_by_origin;
  return [
    h('p', { class: 'back' }, h('a', { href: '#/ledger/months' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('month.title', { month: summary.month })), h('button', { type: 'button', id: 'print', onclick: () => window.print() }, t('report.print'))),
    h('article', { class: 'paper', id: 'month' },
      h('p', { class: 'form-title' }, t('month.title', { month: summary.month })),
      h('p', {}, `${view.site} · ${t('ledger.page', { first: count(summary.first), last: count(summary.last) })} · `, rowLink(summary.last)),
      counts(summary),
      oddTable(summary, names),
      failed.length > 0 && formTable(t('month.failed'), [
        [t('ledger.who'), (one) => (one.account ? names.get(one.account) ?? t('row.account', { n: one.account }) : t('month.no-account'))],
        [t('month.address'), (one) => one.address ?? '–'],
        [t('month.count'), (one) => count(one.count)],
      ], failed),
      summary.rights_changes.length > 0 && formTable(t('month.rights'), [
        [t('col.number'), (one) => rowLink(one.row)],
        [t('ledger.when'), (one) => pointText(one.at)],
        [t('month.account'), (one) => names.get(one.account) ?? String(one.account)],
        [t('ledger.who'), (one) => (one.by ? names.get(one.by) ?? String(one.by) : '–')],
      ], summary.rights_changes),
      formTable(t('month.by-kind'), [
        [t('ledger.what'), ([kind]) => kindText(kind)],
        [t('month.count'), ([, n]) => count(n)],
      ], Object.entries(summary.by_kind)),
      h('p', { class: 'digest' }, `${t('month.digest')}: `, h('code', {}, view.digest)),
      h('p', { class: 'digest' }, `${t('register.checkpoint')}: `, h('code', {}, view.checkpoint)),
      view.reviewed && reviewedBox(view, names)),
    !view.reviewed && house.session.role === 'officer' && reviewForm(house, view),
  ].filter(Boolean);
}
