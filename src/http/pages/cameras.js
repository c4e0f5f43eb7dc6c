// The cameras: their names for other pages, and their health.

import { get } from './api.js';
import { h, heading, note, table } from './dom.js';
import { language, t, word } from './words.js';
import { lengthText, pointText } from './times.js';

export async function readCameras() {
  return (await get('/v1/cameras')).cameras;
}

/// As in `1 · Lobby (ground floor)`; a number alone where the camera is no longer configured.
export function cameraText(cameras, number) {
  const camera = cameras.find((one) => one.number === number);
  return camera ? `${number} · ${camera.name} (${camera.place})` : String(number);
}

export function refreshButton(house) {
  return h('button', { type: 'button', onclick: () => house.refresh() }, t('refresh'));
}

function retentionText({ kind, period_s: seconds }) {
  return t(`cameras.${kind}`, { length: lengthText(seconds) });
}

/// What a camera is doing, and what is wrong.
export function cameraStateText(camera) {
  const state = camera.state ?? 'connecting';
  const rests = state === 'resting' && camera.class === 'operating-room';
  return [
    h('span', { class: `state ${state}` }, rests ? t('cameras.no-operation') : word('cameras', state)),
    camera.detail && !rests && causeText(camera.detail),
  ].filter(Boolean);
}

/// The installer's page: is every camera recording, and if not, why.
export async function camerasPage(house) {
  const { cameras, wrong_files: wrong } = await get('/v1/cameras');
  const recording = cameras.filter((camera) => camera.state === 'recording').length;
  return [
    h('div', { class: 'title' }, heading(t('cameras.title')), refreshButton(house)),
    wrong?.length > 0 && h('div', { class: 'box problem', id: 'wrong-files' },
      h('p', { class: 'problem-title' }, t('cameras.wrong')),
      h('ul', { class: 'bare', lang: 'en' }, wrong.map((one) => h('li', {}, one)))),
    cameras.some((camera) => !camera.encrypted) && h('p', { class: 'hint' }, t('cameras.encrypted.why')),
    cameras.length === 0 && note(t('cameras.empty')),
    cameras.length > 0 && table(t('cameras.summary', { all: cameras.length, recording }), [
      [t('col.number'), (camera) => String(camera.number), 'number'],
      [t('cameras.name'), (camera) => camera.name],
      [t('cameras.place'), (camera) => camera.place],
      [t('cameras.class'), (camera) => word('class', camera.class)],
      [t('cameras.retention'), (camera) => retentionText(camera.retention)],
      [t('cameras.encrypted'), (camera) => t(camera.encrypted ? 'yes' : 'cameras.encrypted.no')],
      [t('col.state'), cameraStateText],
      [t('cameras.since'), (camera) => camera.since && pointText(camera.since)],
    ], cameras),
  ].filter(Boolean);
}

/// How the daemon's sentences about a failed session begin.
const CAUSES = [
  ['the camera did not answer', 'unreachable'],
  ['the camera refused the user name', 'unauthorized'],
  ['the camera wants a user name', 'unauthorized'],
  ['outside its hours', 'outside-hours'],
  ["the camera's stream broke off", 'disconnected'],
  ['the camera ended the stream', 'disconnected'],
  ['the camera sent no ', 'stalled'],
  ['the camera', 'unreadable'],
];

/// What is wrong, in the reader's language; beside it, for whoever repairs it, the daemon's own sentence.
function causeText(detail) {
  const own = h('span', { class: 'remark', lang: 'en' }, detail);
  const [, cause] = CAUSES.find(([beginning]) => detail.startsWith(beginning)) ?? [];
  return language() === 'en' || !cause ? own : [h('span', { class: 'remark' }, t(`cause.${cause}`)), own];
}
