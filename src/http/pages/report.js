// A day's destruction report, as a form that can be printed and filed: the destruction record of the Standard Guidelines,
// article 42, with the fields of a certificate of sanitization (NIST SP 800-88). An officer confirms it here.

import { get } from './api.js';
import { field, form, h, heading, note, section, typed } from './dom.js';
import { language, t, word } from './words.js';
import { fromLocalInput, zoneText } from './times.js';
import { cameraText, readCameras, refreshButton } from './cameras.js';
import { bytesText, count } from './records.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

/// Times of a form are the site's, wherever it is read.
function inZone(zone) {
  const format = new Intl.DateTimeFormat(language() === 'ko' ? 'ko-KR' : 'en-GB', {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });
  return (at) => format.format(new Date(at));
}

function row(name, ...values) {
  return h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, values.filter(Boolean)));
}

function distinct(values) {
  return [...new Set(values.filter(Boolean))];
}

function whatAndHow(view, point) {
  const { report } = view;
  const triggers = Object.entries(report.totals.by_trigger);
  const list = (values) => values.map((value) => h('p', {}, value));
  const devices = distinct(report.rows.map(deviceText));
  return h('table', { class: 'form-head' }, h('caption', {}, t('report.what')), h('tbody', {},
    row(t('report.site'), view.site),
    row(t('report.day'), `${report.day} (${point(report.span.from)} – ${point(report.span.to)}, ${view.time_zone})`),
    row(t('report.in-charge'), view.in_charge.map((one) => `${one.name} (${word('role', one.role)}, ${t('row.account', { n: one.account })})`).join(', ')),
    row(t('report.cycle'), t('report.cycle.automatic')),
    row(t('report.technique'), list(distinct(report.rows.map((one) => one.technique)).map((text) => h('span', { lang: 'en' }, text)))),
    row(t('report.medium'), list(distinct(report.rows.map((one) => `${t('report.volume')} ${one.volume}`))), list(devices)),
    row(t('report.triggers'), triggers.map(([trigger, n]) => `${word('trigger', trigger)}: ${t('row.segments', { n: count(n) })}`).join(' · ')),
    row(t('report.totals'), t('report.totals.of', { rows: count(report.totals.rows), segments: count(report.totals.segments), bytes: bytesText(report.totals.bytes) })),
    row(t('report.failures'), h('strong', { class: report.totals.failures > 0 ? 'late' : '' },
      report.totals.failures > 0 ? t('report.failures.of', { n: count(report.totals.failures) }) : t('report.failures.none'))),
    row(t('report.ledger'), t('report.ledger.rows', { first: count(report.first_sequence), last: count(report.last_sequence) }),
      h('p', {}, `${t('report.ledger.head', { n: count(view.ledger_sequence) })} `, h('code', {}, view.ledger_head))),
    row(t('report.digest'), h('code', {}, view.digest)),
    row(t('register.checkpoint'), h('code', {}, view.checkpoint))));
}

/// Model and serial number of the device, where the receipt tells.
function deviceText({ device }) {
  if (!device) return null;
  return [device.model, device.serial && `S/N ${device.serial}`].filter(Boolean).join(' · ');
}

/// How much was read back, where the receipt tells.
function readBackText({ read_back_percent: percent }) {
  return Number.isInteger(percent) && h('span', { class: 'remark' }, t('report.read-back', { percent }));
}

/// A plain table, also on a phone: it is a form.
function rowsTable(view, cameras, point) {
  const columns = [
    [t('col.number'), (one) => count(one.sequence)],
    [t('col.camera'), (one) => cameraText(cameras, one.camera)],
    [t('col.span'), (one) => `${point(one.span.from)} – ${point(one.span.to)}`],
    [t('destructions.segments'), (one) => count(one.segments)],
    [t('destructions.bytes'), (one) => bytesText(one.bytes)],
    [t('destructions.when'), (one) => point(one.at)],
    [t('destructions.trigger'), (one) => word('trigger', one.trigger)],
    [t('destructions.overwrite'), (one) => [h('span', { class: one.is_failure ? 'late' : '' }, word('overwrite', one.overwrite)), readBackText(one)]],
    [t('report.row-digest'), (one) => h('code', { title: one.digest }, one.digest.slice(0, 16))],
  ];
  return h('div', { class: 'sheet' }, h('table', { class: 'form-rows' },
    h('caption', {}, t('report.rows')),
    h('thead', {}, h('tr', {}, columns.map(([title]) => h('th', { scope: 'col' }, title)))),
    h('tbody', {}, view.report.rows.map((one) => h('tr', { class: one.is_failure && 'failed' }, columns.map(([, cell]) => h('td', {}, cell(one))))))));
}

function confirmations(view, point) {
  const who = (account) => view.in_charge.find((one) => one.account === account)?.name ?? t('row.account', { n: account });
  return h('table', { class: 'form-head' }, h('caption', {}, t('report.confirmation')), h('tbody', {},
    view.confirmations.length === 0 && row(t('report.confirmed'), t('report.confirmed.not')),
    view.confirmations.map((one) => [
      row(t('report.confirmed.by'), who(one.by)),
      row(t('report.confirmed.at'), `${point(one.at)} (${t('report.stated')} ${point(one.stated)})`),
      row(t('report.confirmed.row'), t('report.confirmed.row.of', { row: count(one.row), last: count(one.up_to) })),
      one.acknowledged && row(t('report.acknowledged'), t('report.failures.of', { n: count(one.failures) }), h('p', { class: 'said' }, one.acknowledged)),
    ]),
    row(t('report.signature'), h('span', { class: 'sign' }))));
}

function confirmForm(house, view) {
  const failures = view.report.totals.failures;
  const [password, passwordLine] = passwordField(house, t('report.confirm.password'));
  return section(t('report.confirm'), form({ id: 'confirm-day' }, async (element) => {
    await postWithPassword(`/v1/destructions/days/${view.report.day}/confirmation`, {
      report: view.digest,
      failures,
      ...(failures > 0 && { acknowledged: typed(element, 'acknowledged') }),
      time: fromLocalInput(typed(element, 'time')),
      password: takePassword(password),
    });
    await house.refresh(t('report.confirm.done'));
  },
  h('p', {}, t('report.confirm.why')),
  failures > 0 && field(t('report.acknowledge', { n: count(failures) }), h('textarea', { name: 'acknowledged', rows: '3' }),
    { hint: `${t('report.acknowledge.hint')} ${t('new.no-id')}` }),
  field(t('report.time'), h('input', { type: 'datetime-local', name: 'time', step: '60' }), { hint: `${t('report.time.hint')} ${t('new.zone', { zone: zoneText() })}` }),
  passwordLine,
  h('button', { type: 'submit', class: 'main' }, t('report.confirm.send'))));
}

export async function reportPage(house) {
  const day = house.path[2] ?? '';
  const [view, cameras] = await Promise.all([get(`/v1/destructions/days/${encodeURIComponent(day)}`), readCameras()]);
  const point = inZone(view.time_zone);
  const officer = house.session.role === 'officer';
  return [
    h('p', { class: 'back' }, h('a', { href: '#/destructions' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('report.title', { day: view.report.day })),
      h('button', { type: 'button', id: 'print', onclick: () => window.print() }, t('report.print')), refreshButton(house)),
    !view.is_over && note(t('report.not-over')),
    view.is_over && !view.is_confirmed && view.confirmations.length > 0 && note(t('report.later-rows'), 'warning'),
    h('article', { class: 'paper', id: 'report' },
      h('p', { class: 'form-title' }, t('report.form')),
      whatAndHow(view, point), confirmations(view, point), rowsTable(view, cameras, point),
      h('p', { class: 'form-end' }, t('report.basis'))),
    officer && view.is_over && !view.is_confirmed && confirmForm(house, view),
  ].filter(Boolean);
}
