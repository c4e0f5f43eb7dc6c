// The management ledger of personal video information (the ministry's form 3) for a period and a kind, as a page to print and
// as a file; the access log and the history of rights as files; and the destruction of prints and handed-out copies.

import { get, post } from './api.js';
import { field, form, h, heading, note, section, select, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, pointText, spanText, toLocalInput } from './times.js';
import { bytesText, count } from './records.js';

const KINDS = ['use', 'provide', 'view', 'destroy'];
const DAY_MS = 86_400_000;

function twoDigits(number) {
  return String(number).padStart(2, '0');
}

function dayText(date) {
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
}

/// The period of the address, or the last thirty days; ends are days of the browser's zone, the last one included.
function periodOf(house) {
  const [, , from, to, kind] = house.path;
  const today = new Date();
  return {
    from: /^\d{4}-\d\d-\d\d$/.test(from ?? '') ? from : dayText(new Date(today.getTime() - 30 * DAY_MS)),
    to: /^\d{4}-\d\d-\d\d$/.test(to ?? '') ? to : dayText(today),
    kind: KINDS.includes(kind) ? kind : null,
  };
}

function query({ from, to, kind }, withKind = true) {
  const end = new Date(`${to}T00:00:00`);
  end.setDate(end.getDate() + 1);
  const asked = new URLSearchParams({ from: new Date(`${from}T00:00:00`).toISOString(), to: end.toISOString() });
  if (withKind && kind) asked.set('kind', kind);
  return asked.toString();
}

function periodForm(house, period) {
  const date = (name, value) => h('input', { type: 'date', name, value });
  return form({ id: 'register-period', class: 'inline' }, async (element) => {
    const kind = typed(element, 'kind');
    house.go(`ledger/register/${typed(element, 'from')}/${typed(element, 'to')}${kind ? `/${kind}` : ''}`);
  },
  field(t('register.from'), date('from', period.from)),
  field(t('register.to'), date('to', period.to)),
  field(t('register.kind'), select('kind', [['', t('register.all')], ...KINDS.map((kind) => [kind, word('register', kind)])], period.kind ?? ''), { optional: true }),
  h('button', { type: 'submit', class: 'main' }, t('register.show')));
}

function files(period) {
  const link = (file, text, withKind) => h('li', {}, h('a', { href: `/v1/ledger/${file}?${query(period, withKind)}`, download: true }, text));
  return section(t('register.files'), h('p', {}, t('register.files.why')), h('ul', {},
    link('register.csv', t('register.file.register'), true),
    link('access-log.csv', t('register.file.access'), false),
    link('rights.csv', t('register.file.rights'), false)));
}

function footageText(views) {
  return views.map((view) => h('p', {}, `${t('row.camera', { n: view.camera })}, ${spanText(view.span)}`));
}

function what(line) {
  if (line.copy) return `${word('copy', line.copy.copy)} × ${count(line.copy.count)}`;
  const sizes = line.bytes > 0 && h('p', { class: 'remark' }, `${t('row.segments', { n: count(line.segments) })}, ${bytesText(line.bytes)}`);
  if (line.event === 'destroyed-automatically' && line.footage.length > 3) {
    const cameras = line.footage.map((view) => view.camera).sort((a, b) => a - b).join(', ');
    return [h('p', {}, t('row.camera', { n: cameras })), sizes];
  }
  return [footageText(line.footage), sizes];
}

function how(line) {
  const said = [word('register.event', line.event)];
  if (line.copy) said.push(word('copy.how', line.copy.how));
  if (line.failures > 0) said.push(t('report.failures.of', { n: count(line.failures) }));
  if (line.event === 'destroyed-automatically') {
    said.push(line.confirmed ? t('register.confirmed', { when: pointText(line.confirmed), row: count(line.confirmed_row) }) : t('register.unconfirmed'));
  }
  return said.map((text) => h('p', {}, text));
}

function person(account, name) {
  return account ? `${name ?? ''} (${t('row.account', { n: account })})`.trim() : '–';
}

function linesTable(page) {
  const columns = [
    [t('col.number'), (line) => h('a', { href: `#/ledger/${line.row}` }, count(line.row))],
    [t('register.kind'), (line) => word('register', line.kind)],
    [t('ledger.when'), (line) => [h('p', {}, pointText(line.at)), line.until && line.until !== line.at && h('p', {}, `– ${pointText(line.until)}`)]],
    [t('register.what'), what],
    [t('register.how'), how],
    [t('register.in-charge'), (line) => person(line.in_charge, line.in_charge_name)],
    [t('register.viewer'), (line) => person(line.viewer, line.viewer_name)],
    [t('register.requester'), (line) => [line.requester && h('p', {}, line.requester), line.contact && h('p', {}, line.contact), line.request && h('p', { class: 'remark' }, t('row.request', { n: line.request }))]],
    [t('register.purpose'), (line) => [line.purpose, line.reason].filter(Boolean).map((text) => h('p', { class: 'said' }, text))],
    [t('register.basis'), (line) => line.basis ?? '–'],
    [t('register.ends'), (line) => (line.ends ? pointText(line.ends) : '–')],
  ];
  return h('div', { class: 'sheet' }, h('table', { class: 'form-rows' },
    h('caption', {}, t('register.lines', { n: count(page.lines.length) })),
    h('thead', {}, h('tr', {}, columns.map(([title]) => h('th', { scope: 'col' }, title)))),
    h('tbody', {}, page.lines.map((line) => h('tr', {}, columns.map(([, cell]) => h('td', {}, cell(line))))))));
}

export async function registerPage(house) {
  const period = periodOf(house);
  const page = await get(`/v1/ledger/register?${query(period)}`);
  return [
    h('p', { class: 'back' }, h('a', { href: '#/ledger' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('register.title')), h('button', { type: 'button', id: 'print', onclick: () => window.print() }, t('report.print'))),
    section(t('register.period'), periodForm(house, period)),
    h('article', { class: 'paper', id: 'register' },
      h('p', { class: 'form-title' }, t('register.form')),
      h('p', {}, `${page.site} · ${period.from} – ${period.to} · ${period.kind ? word('register', period.kind) : t('register.all')}`),
      page.lines.length === 0 ? h('p', {}, t('register.empty')) : linesTable(page),
      h('p', { class: 'digest' }, `${t('register.digest', { row: count(page.row) })}: `, h('code', {}, page.digest)),
      h('p', { class: 'digest' }, `${t('register.checkpoint')}: `, h('code', {}, page.checkpoint))),
    files(period),
  ];
}

const COPIES = ['print', 'disc', 'usb-stick', 'file', 'other'];
const ENDS = ['shredded', 'burnt', 'broken', 'overwritten', 'confirmed-by-holder'];

/// Prints and copies that were destroyed are entered here; the register shows them.
export async function copiesPage(house) {
  const words = (key, all) => select(key, all.map((one) => [one, word(key === 'copy' ? 'copy' : 'copy.how', one)]));
  const number = (name, optional) => h('input', { type: 'number', name, min: '1', step: '1', value: optional ? '' : '1' });
  return [
    heading(t('copies.title')),
    note(t('copies.why')),
    form({ id: 'copy-destroyed', class: 'card' }, async (element, once) => {
      const request = typed(element, 'request');
      const by = typed(element, 'by');
      const entered = await post('/v1/copies/destructions', {
        copy: typed(element, 'copy'),
        count: Number(typed(element, 'count')),
        how: typed(element, 'how'),
        destroyed: fromLocalInput(typed(element, 'destroyed')),
        ...(request !== null && { request: Number(request) }),
        ...(by !== null && { by: Number(by) }),
      }, null, once);
      await house.refresh(t('copies.done', { row: count(entered.row) }));
    },
    field(t('copies.copy'), words('copy', COPIES)),
    field(t('copies.count'), number('count', false)),
    field(t('copies.how'), words('how', ENDS)),
    field(t('copies.destroyed'), h('input', { type: 'datetime-local', name: 'destroyed', step: '1', value: toLocalInput(new Date()) })),
    field(t('copies.request'), number('request', true), { optional: true }),
    field(t('copies.by'), number('by', true), { optional: true, hint: t('copies.by.hint') }),
    h('button', { type: 'submit', class: 'main' }, t('copies.send'))),
  ];
}
