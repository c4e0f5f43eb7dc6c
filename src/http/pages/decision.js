// The officer's decision: approve for one viewer, or refuse on one of the law's grounds. The password is asked again.

import { get, Problem } from './api.js';
import { choices, confirmation, field, form, h, note, section, select, ticked, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, spanText, toLocalInput, zoneText } from './times.js';
import { cameraText } from './cameras.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

/// Why a decision waits (PIPA 35(3)).
const CAUSES = ['masking', 'footage-out-of-reach', 'dispute', 'being-clarified', 'other-just-cause'];
/// PIPA 35(4), the whole list.
const GROUNDS = ['forbidden-by-law', 'harm-to-others', 'already-destroyed', 'other-just-cause'];

/// Of these a copy can come.
const COPIED = ['copy', 'provision', 'operating-room-authority', 'operating-room-mediation', 'operating-room-consent'];

const STEPS_EVERY_MS = 500;

/// Sends a decision; while its footage is read, `element` tells how far that is. It goes on should the page be closed.
async function decide(request, decision, element, once) {
  const place = `/v1/requests/${request.number}/${request.two_decide ? 'proposal' : 'decision'}`;
  const told = h('p', { class: 'steps', role: 'status' });
  element.append(told);
  const timer = setInterval(async () => {
    const { steps } = await get(`/v1/requests/${request.number}/decision`).catch(() => ({ steps: null }));
    if (!steps || steps.total === 0 || !told.isConnected) return;
    const percent = Math.floor((steps.done / steps.total) * 100);
    told.replaceChildren(h('progress', { value: steps.done, max: steps.total }), ` ${t('decide.steps', { percent })}`);
  }, STEPS_EVERY_MS);
  try {
    return await postWithPassword(place, decision, { ...once, seen: request.version });
  } finally {
    clearInterval(timer);
    told.remove();
  }
}

function localTime(name, at = null) {
  return h('input', { type: 'datetime-local', name, step: '1', value: at ? toLocalInput(at) : '' });
}

/// Fewer cameras or a shorter span than was asked for; what was left as it was is not sent.
function narrowed(element, request) {
  const less = {};
  const cameras = ticked(element, 'cameras').map(Number);
  if (cameras.length < request.cameras.length) less.cameras = cameras;
  const span = { ...request.span };
  for (const end of ['from', 'to']) {
    const text = element.elements[end].value;
    if (text !== toLocalInput(request.span[end])) span[end] = fromLocalInput(text) ?? span[end];
  }
  if (span.from !== request.span.from || span.to !== request.span.to) less.span = span;
  return less;
}

/// Within what it may be watched; what is left as it is limits nothing.
function conditionFields(request, terminals) {
  const box = (name, key) => h('label', { class: 'choice' }, h('input', { type: 'checkbox', name: 'conditions', value: name }), h('span', {}, t(key)));
  return h('details', {},
    h('summary', {}, t('decide.conditions')),
    field(t('decide.viewings'), h('input', { type: 'number', name: 'viewings', min: '1', step: '1' }), { optional: true }),
    terminals.length > 0 && field(t('decide.terminal'), select('terminal', [['', '–'], ...terminals.map((one) => [one.name, one.name])]), { optional: true }),
    field(t('decide.appointment.from'), localTime('appointment-from'), { optional: true }),
    field(t('decide.appointment.to'), localTime('appointment-to'), { optional: true }),
    box('present', 'condition.present'),
    COPIED.includes(request.kind) && box('copy', 'condition.copy'),
    box('masking', 'condition.masking'));
}

function conditionsOf(element) {
  const conditions = Object.fromEntries(ticked(element, 'conditions').map((one) => [one, true]));
  const viewings = typed(element, 'viewings');
  if (viewings) conditions.viewings = Number(viewings);
  const terminal = element.elements.terminal && typed(element, 'terminal');
  if (terminal) conditions.terminal = terminal;
  const [from, to] = ['appointment-from', 'appointment-to'].map((name) => fromLocalInput(typed(element, name)));
  if (from && to) conditions.appointment = { from, to };
  return conditions;
}

/// Why the rest is not approved, where only a part is.
function restOf(element) {
  const reason = typed(element, 'rest-reason');
  return reason && { rest: { ground: element.elements['rest-ground'].value, reason } };
}

/// What a decision says when it is done: where two people decide, it is proposed first.
function doneText(request, text) {
  return request.two_decide ? t('propose.done') : text;
}

function approveForm(house, request, cameras, viewers, terminals) {
  const [password, passwordLine] = passwordField(house, t('decide.password.hint'));
  const viewer = select('viewer', [['', t('decide.viewer.choose')], ...viewers.map((one) => [one.account, one.name])]);
  const zone = t('new.zone', { zone: zoneText() });
  return section(t('decide.approve'), viewers.length === 0 && note(t('decide.viewer.none')), form({ id: 'approve' }, async (element, once) => {
    if (ticked(element, 'cameras').length === 0) {
      throw new Problem(422, { type: 'urn:custodian:no-camera' });
    }
    const ends = fromLocalInput(typed(element, 'ends'));
    const decided = await decide(request, {
      decision: 'approve', viewer: Number(viewer.value), ...narrowed(element, request), ...(ends && { ends }), conditions: conditionsOf(element), ...restOf(element), password: takePassword(password),
    }, element, once);
    await house.refresh(doneText(request, t('decide.approved', { span: spanText(decided.granted_span ?? request.span) })));
  },
  field(t('decide.viewer'), viewer),
  field(t('decide.ends'), localTime('ends'), { optional: true, hint: t('decide.ends.hint') }),
  conditionFields(request, terminals),
  h('details', {},
    h('summary', {}, t('decide.part')),
    choices(t('new.cameras'), 'checkbox', 'cameras', request.cameras.map((number) => [number, cameraText(cameras, number), true])),
    field(t('new.from'), localTime('from', request.span.from), { hint: zone }),
    field(t('new.to'), localTime('to', request.span.to))),
  h('details', {},
    h('summary', {}, t('decide.rest')),
    field(t('decide.ground'), select('rest-ground', GROUNDS.map((one) => [one, word('ground', one)])), { optional: true }),
    field(t('decide.reason'), h('textarea', { name: 'rest-reason', rows: '3' }), { optional: true, hint: `${t('decide.rest.hint')} ${t('new.no-id')}` })),
  passwordLine,
  h('button', { type: 'submit', class: 'main' }, t('decide.approve.send'))));
}

function refuseForm(house, request) {
  const [password, passwordLine] = passwordField(house, t('decide.password.refuse'));
  return section(t('decide.refuse'), form({ id: 'refuse' }, async (element, once) => {
    await decide(request, {
      decision: 'refuse', ground: element.elements.ground.value, reason: typed(element, 'reason'), password: takePassword(password),
    }, element, once);
    await house.refresh(doneText(request, t('decide.refused')));
  },
  choices(t('decide.ground'), 'radio', 'ground', GROUNDS.map((one) => [one, word('ground', one)]), t('decide.ground.hint')),
  field(t('decide.reason'), h('textarea', { name: 'reason', rows: '3' }), { hint: `${t('decide.reason.hint')} ${t('new.no-id')}` }),
  passwordLine,
  h('button', { type: 'submit', class: 'grave' }, t('decide.refuse.send'))));
}

/// Erasing cannot be undone. Where a part must stay the daemon says which, and it is decided again, knowingly.
function eraseForm(house, request, cameras) {
  const [password, passwordLine] = passwordField(house, t('decide.password.refuse'));
  const partly = h('div', {});
  return section(t('decide.erase'), form({ id: 'erase' }, async (element, once) => {
    if (ticked(element, 'cameras').length === 0) throw new Problem(422, { type: 'urn:custodian:no-camera' });
    try {
      const decided = await decide(request, {
        decision: 'erase', ...narrowed(element, request), partly: ticked(element, 'partly').length > 0, password: takePassword(password),
      }, element, once);
      await house.refresh(doneText(request, t(decided.kept ? 'decide.erased.part' : 'decide.erased')));
    } catch (problem) {
      if (problem instanceof Problem && problem.slug === 'must-stay' && problem.detail.startsWith('a part')) {
        partly.replaceChildren(confirmation('partly', t('decide.erase.partly')));
      }
      throw problem;
    }
  },
  h('p', {}, t('decide.erase.why')),
  h('details', {},
    h('summary', {}, t('decide.erase.less')),
    choices(t('new.cameras'), 'checkbox', 'cameras', request.cameras.map((number) => [number, cameraText(cameras, number), true])),
    field(t('new.from'), localTime('from', request.span.from), { hint: t('new.zone', { zone: zoneText() }) }),
    field(t('new.to'), localTime('to', request.span.to))),
  partly,
  confirmation('sure', t('decide.erase.sure')),
  passwordLine,
  h('button', { type: 'submit', class: 'grave' }, t('decide.erase.send'))));
}

/// Not decided yet, for a reason, and expected to be by then.
function postponeForm(house, request) {
  const [password, passwordLine] = passwordField(house, t('decide.password.refuse'));
  const zone = t('new.zone', { zone: zoneText() });
  return section(t('decide.postpone'), form({ id: 'postpone' }, async (element, once) => {
    await decide(request, {
      decision: 'postpone', cause: element.elements.cause.value, reason: typed(element, 'reason'), until: fromLocalInput(typed(element, 'until')), password: takePassword(password),
    }, element, once);
    await house.refresh(doneText(request, t('decide.postponed')));
  },
  h('p', {}, t('decide.postpone.why')),
  field(t('decide.cause'), select('cause', CAUSES.map((one) => [one, word('postpone', one)]))),
  field(t('decide.postpone.until'), localTime('until'), { hint: zone }),
  field(t('decide.reason'), h('textarea', { name: 'reason', rows: '3' }), { hint: `${t('decide.reason.hint')} ${t('new.no-id')}` }),
  passwordLine,
  h('button', { type: 'submit' }, t('decide.postpone.send'))));
}

/// An existence check is answered by looking; there is nothing to hand over.
function answerForm(house, request) {
  const [password, passwordLine] = passwordField(house, t('decide.password.answer'));
  return section(t('decide.answer'), form({ id: 'approve' }, async (element, once) => {
    await decide(request, { decision: 'approve', password: takePassword(password) }, element, once);
    await house.refresh(doneText(request, t('decide.answered')));
  },
  h('p', {}, t('decide.answer.how')),
  passwordLine,
  h('button', { type: 'submit', class: 'main' }, t('decide.answer.send'))));
}

/// Nothing is left of it: that is looked up, and told with its cause.
function unavailableForm(house, request) {
  const [password, passwordLine] = passwordField(house, t('decide.password.refuse'));
  return section(t('decide.unavailable'), form({ id: 'unavailable' }, async (element, once) => {
    await decide(request, { decision: 'unavailable', password: takePassword(password) }, element, once);
    await house.refresh(doneText(request, t('decide.unavailable.done')));
  },
  h('p', {}, t('decide.unavailable.why')),
  passwordLine,
  h('button', { type: 'submit' }, t('decide.unavailable.send'))));
}

export async function decisionForms(house, request, cameras) {
  const others = [refuseForm(house, request), postponeForm(house, request), unavailableForm(house, request)];
  if (request.two_decide) others.unshift(note(t('propose.why')));
  if (request.kind === 'existence-check') return [answerForm(house, request), ...others];
  if (request.kind === 'erasure') return [eraseForm(house, request, cameras), ...others];
  const [{ accounts }, { terminals }] = await Promise.all([get('/v1/accounts'), get('/v1/terminals')]);
  const viewers = accounts.filter((one) => one.role === 'viewer' && one.standing === 'active');
  return [approveForm(house, request, cameras, viewers, terminals), ...others];
}
