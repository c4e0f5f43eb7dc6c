// What is done to a request besides deciding it: the answer is handed over, it is taken back, what it costs is noted, it is
// marked as disputed, and where a site wants two people, a proposal is stood by.

import { post } from './api.js';
import { choices, confirmation, facts, field, form, h, section, select, ticked } from './dom.js';
import { t, word } from './words.js';
import { pointText, spanText } from './times.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

export const CHANNELS = ['visit', 'writing', 'e-mail', 'fax', 'phone'];
const DISPUTES = ['accuracy', 'entitlement', 'lawfulness', 'proceedings'];
const OUTCOMES = ['upheld', 'rejected', 'agreed', 'withdrawn'];

export function channelSelect(name = 'channel') {
  return select(name, CHANNELS.map((one) => [one, word('channel', one)]));
}

/// A form that sends one thing and says that it was done.
function small(house, request, { id, key, grave = false }, body, ...children) {
  return section(t(key), form({ id }, async (element, once) => {
    await post(`/v1/requests/${request.number}/${id}`, body(element), null, { ...once, seen: request.version });
    await house.refresh(t(`${key}.done`));
  }, ...children, h('button', { type: 'submit', class: grave && 'grave' }, t(`${key}.send`))));
}

export function deliverForm(house, request) {
  return small(house, request, { id: 'delivery', key: 'deliver' }, (element) => ({ channel: element.elements.channel.value }),
    h('p', {}, t('deliver.why')), field(t('deliver.channel'), channelSelect()));
}

export function withdrawForm(house, request) {
  return small(house, request, { id: 'withdrawal', key: 'withdraw', grave: true }, (element) => ({ channel: element.elements.channel.value }),
    h('p', {}, t('withdraw.why')), field(t('deliver.channel'), channelSelect()), confirmation('sure', t('request.close.sure')));
}

export function feeForm(house, request) {
  const amount = h('input', { type: 'number', name: 'amount', min: '0', max: '10000000', step: '1', value: String(request.fee?.amount_krw ?? '') });
  return small(house, request, { id: 'fee', key: 'fee' },
    (element) => ({ amount_krw: Number(amount.value), paid: ticked(element, 'paid').length > 0 }),
    field(t('fee.amount'), amount),
    h('label', { class: 'choice' }, h('input', { type: 'checkbox', name: 'paid', checked: Boolean(request.fee?.paid) }), h('span', {}, t('fee.paid'))));
}

export function disputeForm(house, request) {
  if (request.dispute) {
    return section(t('dispute.settle'), form({ id: 'settle' }, async (element, once) => {
      await post(`/v1/disputes/${request.dispute}/settlement`, { outcome: element.elements.outcome.value }, null, once);
      await house.refresh(t('dispute.settled'));
    }, h('p', {}, t('request.dispute', { n: request.dispute })),
    field(t('dispute.outcome'), select('outcome', OUTCOMES.map((one) => [one, word('outcome', one)]))),
    h('button', { type: 'submit' }, t('dispute.settle.send'))));
  }
  return section(t('dispute.mark'), form({ id: 'dispute' }, async (element, once) => {
    await post('/v1/disputes', { request: request.number, ground: element.elements.ground.value }, null, once);
    await house.refresh(t('dispute.done'));
  }, h('p', {}, t('dispute.why')),
  field(t('dispute.ground'), select('ground', DISPUTES.map((one) => [one, word('dispute', one)]))),
  h('button', { type: 'submit', class: 'grave' }, t('dispute.send'))));
}

export function conditionsText(conditions) {
  if (!conditions) return null;
  const { viewings, terminal, appointment, present, copy, masking } = conditions;
  const said = [
    viewings && t('condition.viewings', { n: viewings }),
    terminal && t('condition.terminal', { place: terminal }),
    appointment && t('condition.appointment', { span: spanText(appointment) }),
    present && t('condition.present'),
    copy && t('condition.copy'),
    masking && t('condition.masking'),
  ].filter(Boolean);
  return said.length > 0 && h('ul', { class: 'bare' }, said.map((one) => h('li', {}, one)));
}

/// A decision that waits for a second person; whoever may stand by it, or carry it out, does so here.
export function proposalForms(house, request) {
  const { proposal } = request;
  if (!proposal) return [];
  const { proposed } = proposal;
  const { role, account } = house.session;
  const second = proposal.second?.[0];
  const told = facts([
    [t('proposal.what'), t(`proposal.${proposed.outcome}`)],
    [t('col.cameras'), proposed.cameras?.join(', ')],
    [t('col.span'), proposed.span && spanText(proposed.span)],
    [t('decide.viewer'), proposed.viewer],
    [t('request.conditions'), conditionsText(proposed.conditions)],
    [t('decide.ground'), proposed.ground && word('ground', proposed.ground)],
    [t('decide.cause'), proposed.cause && word('postpone', proposed.cause)],
    [t('decide.reason'), proposed.reason],
    [t('decide.rest'), proposed.rest && `${word('ground', proposed.rest.ground)}: ${proposed.rest.reason}`],
    [t('decide.postpone.until'), proposed.until && pointText(proposed.until)],
    [t('proposal.by'), proposal.by],
    [t('proposal.second'), second],
  ]);
  const shown = [section(t('proposal'), told)];
  const send = (id, key, place, body, done) => {
    const [password, passwordLine] = passwordField(house, t('decide.password.refuse'));
    return section(t(key), form({ id }, async (_, once) => {
      await postWithPassword(`/v1/requests/${request.number}/${place}`, { ...body, password: takePassword(password) }, { ...once, seen: request.version });
      await house.refresh(t(done));
    }, passwordLine, h('button', { type: 'submit', class: 'main' }, t(key))));
  };
  if (request.entered_by === account) return shown;
  if (proposal.role !== role && proposal.by !== account && !second) {
    shown.push(send('stand-by', 'proposal.stand-by', 'proposal/second', { proposal: proposal.row }, 'proposal.stood-by'));
  }
  const another = [[proposal.by, proposal.role], proposal.second ?? []].some(([by, as]) => as && as !== role && by !== account);
  if (role === 'officer' && another) {
    shown.push(send('carry-out', 'proposal.carry-out', 'decision', { decision: 'proposed' }, 'proposal.carried-out'));
  }
  return shown;
}

const PAPERS = ['in_person', 'power_of_attorney', 'consent', 'guardianship'];

/// The papers that were seen besides the document, to be ticked.
export function paperChoices() {
  return choices(t('request.identity.papers'), 'checkbox', 'papers', PAPERS.map((one) => [one, word('seen', one)]), t('request.identity.papers.hint'));
}

export function papersSeen(element) {
  return Object.fromEntries(ticked(element, 'papers').map((one) => [one, true]));
}

export function papersText(checked) {
  if (!checked) return null;
  const said = PAPERS.filter((one) => checked[one]).map((one) => word('seen', one));
  if (checked.subject_document) said.push(word('document', checked.subject_document));
  return said.length > 0 && said.join(', ');
}

