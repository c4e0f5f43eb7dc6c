// The cameras: their names for other pages, and their health.

import { get } from './api.js';
import { h, heading, note, table } from './dom.js';
import { t, word } from './words.js';
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

/// The installer's page: is every camera recording, and if not, why.
export async function camerasPage(house) {
  const cameras = await readCameras();
  const recording = cameras.filter((camera) => camera.state === 'recording').length;
  const state = (camera) => [
    h('span', { class: `state ${camera.state}` }, word('cameras', camera.state)),
    camera.detail && h('span', { class: 'remark' }, causeText(camera.detail)),
  ];
  return [
    h('div', { class: 'title' }, heading(t('cameras.title')), refreshButton(house)),
    cameras.length === 0 && note(t('cameras.empty')),
    cameras.length > 0 && table(t('cameras.summary', { all: cameras.length, recording }), [
      [t('col.number'), (camera) => String(camera.number), 'number'],
      [t('cameras.name'), (camera) => camera.name],
      [t('cameras.place'), (camera) => camera.place],
      [t('cameras.class'), (camera) => word('class', camera.class)],
      [t('cameras.retention'), (camera) => retentionText(camera.retention)],
      [t('col.state'), state],
      [t('cameras.since'), (camera) => camera.since && pointText(camera.since)],
    ], cameras),
  ].filter(Boolean);
}

/// As the daemon writes them.
const CAUSES = {
  'the camera did not answer': 'unreachable',
  'the camera refused the password': 'unauthorized',
  'the camera sent nothing that could be read': 'unreadable',
  "the camera's stream broke off": 'disconnected',
  'the camera sent no picture': 'stalled',
  'the recorder was not running': 'not-running',
  'the disk failed': 'volume-failed',
  'the disk was too slow': 'overrun',
};

/// The daemon says why in English; where it is one of its causes, it is said in the reader's language.
function causeText(detail) {
  return Object.hasOwn(CAUSES, detail) ? t(`cause.${CAUSES[detail]}`) : h('span', { lang: 'en' }, detail);
}
