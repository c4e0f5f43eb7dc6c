// Builds what is shown. Text goes in as text only, never as markup: nobody's words can become part of the page.

import { t } from './words.js';
import { onceKey, problemText, wantsReload } from './api.js';

let ids = 0;
let reload = () => {};

/// What brings the open page anew.
export function whenReloadWanted(act) {
  reload = act;
}

/// An element. Attributes that begin with `on` are listeners; `true` sets a bare attribute; false and null set none.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'muted') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/// The page's heading: what the focus goes to when a page opens.
export function heading(text) {
  return h('h1', { tabindex: '-1' }, text);
}

/// A labelled control, with a hint that a screen reader reads along.
export function field(label, control, { hint = null, optional = false } = {}) {
  control.id ||= `control-${++ids}`;
  const hintId = `${control.id}-hint`;
  if (hint) control.setAttribute('aria-describedby', hintId);
  if (!optional && control.matches('input, select, textarea')) control.required = true;
  return h('div', { class: 'field' },
    h('label', { for: control.id }, label, optional && h('span', { class: 'optional' }, ` ${t('optional')}`)),
    control,
    hint && h('p', { class: 'hint', id: hintId }, hint));
}

/// A group of boxes or buttons to choose from; `options` are [value, text, chosen].
export function choices(legend, type, name, options, hint = null) {
  const hintId = `choices-${++ids}`;
  return h('fieldset', { 'aria-describedby': hint && hintId },
    h('legend', {}, legend),
    hint && h('p', { class: 'hint', id: hintId }, hint),
    options.map(([value, text, chosen]) => h('label', { class: 'choice' },
      h('input', { type, name, value: String(value), checked: Boolean(chosen), required: type === 'radio' }),
      h('span', {}, text))));
}

/// A box to tick before the form is sent.
export function confirmation(name, text) {
  return h('label', { class: 'choice' }, h('input', { type: 'checkbox', name, required: true }), h('span', {}, text));
}

export function select(name, options, chosen = null) {
  return h('select', { name }, options.map(([value, text]) =>
    h('option', { value: String(value), selected: String(value) === String(chosen) }, text)));
}

/// A form that sends once at a time, and shows at its head what went wrong. `send` is told a key of what it makes, the same
/// until that is made: sent twice, by a second click or after an answer that was lost, it makes one thing and not two.
export function form(attributes, send, ...children) {
  const trouble = h('div', { class: 'trouble' });
  let key = onceKey();
  const element = h('form', { ...attributes, class: `form ${attributes.class ?? ''}` }, trouble, ...children);
  element.addEventListener('submit', async (event) => {
    event.preventDefault();
    const buttons = element.querySelectorAll('button');
    if (element.getAttribute('aria-busy') === 'true') return;
    element.setAttribute('aria-busy', 'true');
    buttons.forEach((button) => { button.disabled = true; });
    trouble.replaceChildren();
    try {
      await send(element, { key });
      key = onceKey();
    } catch (problem) {
      const box = problemBox(problem);
      trouble.replaceChildren(box);
      box.focus();
    } finally {
      element.removeAttribute('aria-busy');
      buttons.forEach((button) => { button.disabled = false; });
    }
  });
  return element;
}

/// What went wrong, in words; read out at once.
export function problemBox(problem) {
  const { title, detail, foreign } = problemText(problem);
  return h('div', { class: 'box problem', role: 'alert', tabindex: '-1' },
    h('p', { class: 'problem-title' }, title),
    detail && h('p', { lang: foreign && 'en' }, detail),
    wantsReload(problem) && h('button', { type: 'button', class: 'reload', onclick: () => reload() }, t('problem.reload')));
}

export function note(text, kind = 'note') {
  return h('div', { class: `box ${kind}`, role: 'status' }, h('p', {}, text));
}

/// A table that becomes a list of cards on a phone, and stays a table for a screen reader. `columns` are
/// [title, cell(row), class].
export function table(caption, columns, rows) {
  return h('table', { role: 'table', class: 'cards' },
    h('caption', {}, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
      columns.map(([title, , kind]) => h('th', { scope: 'col', role: 'columnheader', class: kind }, title)))),
    h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' },
      columns.map(([title, cell, kind]) => h('td', { role: 'cell', class: kind, 'data-title': title }, h('div', {}, cell(row))))))));
}

/// Names and what they stand for; pairs without a value are left out.
export function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== '' && value !== false)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, typeof value === 'number' ? String(value) : value))));
}

export function section(title, ...children) {
  const id = `section-${++ids}`;
  return h('section', { class: 'card', 'aria-labelledby': id }, h('h2', { id }, title), ...children);
}

/// What is typed in `name`; an empty text is null.
export function typed(element, name) {
  const text = element.elements[name].value.trim();
  return text === '' ? null : text;
}

/// The values of the boxes ticked under `name`.
export function ticked(element, name) {
  return [...element.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
}
