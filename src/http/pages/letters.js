// The letters of a request: printed on demand, each time a row; and how each came to who asked.

import { get, post } from './api.js';
import { field, form, h, heading, note, section, select, table, typed } from './dom.js';
import { language, t, word } from './words.js';
import { fromLocalInput, pointText } from './times.js';
import { refreshButton } from './cameras.js';

const KINDS = ['receipt', 'grant', 'partial', 'postponement', 'refusal'];
const WAYS = ['hand', 'post', 'e-mail', 'fax'];
/// What a letter may consist of. Its values are escaped when it is written; a template of the site's own may hold anything.
const ELEMENTS = ['div', 'section', 'header', 'footer', 'p', 'h2', 'h3', 'table', 'caption', 'thead', 'tbody', 'tr', 'th', 'td', 'ul', 'ol', 'li', 'strong', 'em', 'code', 'span', 'br', 'hr', 'dl', 'dt', 'dd'];
const ATTRIBUTES = ['class', 'lang', 'scope', 'colspan', 'rowspan'];

/// A letter's text as elements of this page: plain ones alone, nothing that runs, loads or leads elsewhere.
function elementsOf(node) {
  if (node.nodeType === Node.TEXT_NODE) return [node.textContent];
  if (node.nodeType !== Node.ELEMENT_NODE) return [];
  const name = node.localName;
  if (['script', 'style', 'template', 'noscript', 'iframe', 'object'].includes(name)) return [];
  const children = [...node.childNodes].flatMap(elementsOf);
  if (!ELEMENTS.includes(name)) return children;
  const kept = Object.fromEntries(ATTRIBUTES.filter((one) => node.hasAttribute(one)).map((one) => [one, node.getAttribute(one)]));
  return [h(name, kept, ...children)];
}

/// The one text that this origin's policy lets a script read as markup: into a document that is never shown and runs nothing.
const asMarkup = globalThis.trustedTypes?.createPolicy('letters', { createHTML: (html) => html }) ?? { createHTML: (html) => html };

function letterText(html) {
  return [...new DOMParser().parseFromString(asMarkup.createHTML(html), 'text/html').body.childNodes].flatMap(elementsOf);
}

/// The letter that tells of where a request stands.
function likeliest({ state }) {
  return { refused: 'refusal', postponed: 'postponement', approved: 'grant', confirmed: 'grant', erased: 'grant', partly: 'partial' }[state] ?? 'receipt';
}

function produceForm(request, shown, list) {
  return section(t('letters.new'), form({ id: 'new-letter' }, async (element) => {
    const { letter, language: chosen } = element.elements;
    const told = await post(`/v1/requests/${request.number}/letters`, { letter: letter.value, language: chosen.value });
    shown.replaceChildren(...[
      told.broken_template && note(t('letters.broken', { what: told.broken_template }), 'warning'),
      h('div', { class: 'title no-print' }, h('p', {}, t('letters.printed', { row: told.number })),
        h('button', { type: 'button', id: 'print', class: 'main', onclick: () => window.print() }, t('report.print'))),
      h('article', { class: 'paper portrait', id: 'letter', 'data-row': told.number }, letterText(told.html)),
    ].filter(Boolean));
    await list();
    shown.querySelector('#print').focus();
  },
  field(t('letters.kind'), select('letter', KINDS.map((one) => [one, word('letter', one)]), likeliest(request))),
  field(t('letters.language'), select('language', [['ko', '한국어'], ['en', 'English']], language() === 'ko' ? 'ko' : 'en')),
  h('p', { class: 'hint' }, t('letters.row')),
  h('button', { type: 'submit', class: 'main' }, t('letters.send'))));
}

function deliveryForm(house, request, letters) {
  const open = letters.filter((one) => !one.delivered);
  if (open.length === 0) return null;
  const names = open.map((one) => [one.number, `${word('letter', one.letter)} (${one.language}) · ${pointText(one.at)}`]);
  return section(t('letters.delivery'), form({ id: 'delivery' }, async (element) => {
    const at = fromLocalInput(typed(element, 'at'));
    const proof = typed(element, 'proof');
    await post(`/v1/requests/${request.number}/letters/${element.elements.letter.value}/delivery`, {
      way: element.elements.way.value, ...(at && { at }), ...(proof && { proof }),
    });
    await house.refresh(t('letters.delivery.done'));
  },
  field(t('letters.which'), select('letter', names)),
  field(t('letters.way'), select('way', WAYS.map((one) => [one, word('way', one)]))),
  field(t('letters.at'), h('input', { type: 'datetime-local', name: 'at', step: '60' }), { optional: true, hint: t('letters.at.hint') }),
  field(t('letters.proof'), h('textarea', { name: 'proof', rows: '2', maxlength: '500' }), { optional: true, hint: `${t('letters.proof.hint')} ${t('new.no-id')}` }),
  h('button', { type: 'submit' }, t('letters.delivery.send'))));
}

function deliveryText({ delivered }) {
  if (!delivered) return t('letters.not-delivered');
  return [`${word('way', delivered.way)} · ${pointText(delivered.at)}`,
    delivered.proof ? h('p', { class: 'said' }, delivered.proof) : delivered.has_proof && h('span', { class: 'remark' }, t('letters.proof.sealed'))];
}

function lettersTable(letters) {
  if (letters.length === 0) return note(t('letters.none'));
  return table(t('letters.list'), [
    [t('letters.row-number'), (one) => String(one.number), 'number'],
    [t('letters.kind'), (one) => `${word('letter', one.letter)} (${one.language})`],
    [t('letters.when'), (one) => h('time', { datetime: one.at }, pointText(one.at))],
    [t('letters.delivered'), deliveryText],
  ], letters);
}

/// `#/requests/3/letters`.
export async function lettersPage(house) {
  const place = `/v1/requests/${encodeURIComponent(house.path[1])}`;
  const [request, { letters }] = await Promise.all([get(place), get(`${place}/letters`)]);
  const writes = ['staff', 'officer'].includes(house.session.role) && !request.persons_erased;
  const shown = h('div', { id: 'shown' });
  const listed = h('div', {}, lettersTable(letters));
  const delivery = h('div', {}, writes && deliveryForm(house, request, letters));
  const list = async () => {
    const now = (await get(`${place}/letters`)).letters;
    listed.replaceChildren(lettersTable(now));
    delivery.replaceChildren(...[deliveryForm(house, request, now)].filter(Boolean));
  };
  return [
    h('p', { class: 'back' }, h('a', { href: `#/requests/${request.number}` }, `← ${t('request.title', { number: request.number })}`)),
    h('div', { class: 'title' }, heading(t('letters.title', { number: request.number })), refreshButton(house)),
    request.persons_erased && note(t('request.person.erased', { when: pointText(request.persons_erased) })),
    writes && h('div', { class: 'no-print' }, produceForm(request, shown, list)),
    shown,
    h('div', { class: 'no-print' }, listed, delivery),
  ].filter(Boolean);
}
