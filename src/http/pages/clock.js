// The clock: what it says, what it waits for, and the officer's confirmation of date and time, in two steps where it
// would destroy footage at once.

import { get, post, Problem } from './api.js';
import { facts, field, form, h, heading, note, section, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, pointText, zoneText } from './times.js';
import { refreshButton } from './cameras.js';

/// Above every page while something is wrong with the clock.
export function clockBanner(clock) {
  if (!clock?.waits_for) return null;
  const text = t(clock.in_doubt ? 'clock.banner' : 'clock.apart', { wall: pointText(clock.wall), trusted: pointText(clock.trusted) });
  return h('p', { class: 'banner', role: 'alert', id: 'clock-banner' }, text);
}

function hours(seconds) {
  return (seconds / 3600).toFixed(1);
}

/// What was typed was right when it was typed: who looks at a number for a while states a time that is as much later.
function laterBy(time, since) {
  return new Date(new Date(time).getTime() + (performance.now() - since)).toISOString();
}

function confirmForm(house) {
  const time = h('input', { type: 'datetime-local', name: 'time', step: '60' });
  const name = h('input', { type: 'text', autocomplete: 'username', value: house.session.name, hidden: true, readonly: true });
  const password = h('input', { type: 'password', name: 'password', autocomplete: 'current-password' });
  const destroys = h('input', { type: 'text', name: 'destroys', inputmode: 'numeric', autocomplete: 'off' });
  const second = h('div', { id: 'second-step' });
  let typedAt = performance.now();
  time.addEventListener('input', () => {
    typedAt = performance.now();
    second.replaceChildren();
  });
  return form({ class: 'card', id: 'confirm-clock' }, async (element) => {
    const confirmation = { time: laterBy(fromLocalInput(typed(element, 'time')), typedAt), password: password.value };
    password.value = '';
    if (destroys.isConnected) confirmation.destroys = Number(destroys.value);
    try {
      await post('/v1/clock/confirmation', confirmation);
    } catch (problem) {
      if (problem instanceof Problem && problem.slug === 'wrong-credentials') problem.slug = 'wrong-password';
      if (problem instanceof Problem && problem.slug === 'clock-destroys') {
        destroys.value = '';
        second.replaceChildren(
          h('div', { class: 'box problem', role: 'alert' }, h('p', {}, t('clock.destroys', { n: String(problem.destroys) }))),
          field(t('clock.destroys.state'), destroys, { hint: t('clock.destroys.hint') }));
      }
      throw problem;
    }
    house.refresh(t('clock.confirmed'));
  },
  h('h2', {}, t('clock.confirm')),
  h('p', {}, t('clock.confirm.why')),
  field(t('clock.time'), time, { hint: t('clock.time.hint', { zone: zoneText() }) }),
  name,
  field(t('decide.password'), password, { hint: t('decide.password.hint') }),
  second,
  h('button', { type: 'submit', class: 'main' }, t('clock.send')));
}

export async function clockPage(house) {
  const clock = await get('/v1/clock');
  return [
    h('div', { class: 'title' }, heading(t('clock.title')), refreshButton(house)),
    clock.in_doubt && note(t('clock.doubt', { why: word('clock', clock.in_doubt) })),
    section(t('clock.readings'), facts([
      [t('clock.trusted'), pointText(clock.trusted)],
      [t('clock.wall'), pointText(clock.wall)],
      [t('clock.synchronised'), t(clock.synchronised ? 'yes' : 'no')],
      [t('clock.vouched'), clock.vouched && pointText(clock.vouched)],
      [t('clock.steps'), t('clock.steps.of', { used: hours(clock.stepped_s), limit: hours(clock.limit_s) })],
    ])),
    confirmForm(house),
  ].filter(Boolean);
}
