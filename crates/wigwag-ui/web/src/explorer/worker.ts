/**
 * Entry of the Explorer's worker: a connection of its own, so that a flood of messages holds up nobody's commands, and,
 * where the broker keeps a tree of its topics, another one for that.
 */
import type { Message } from '../message/message.ts';
import { messageOf } from '../message/message.ts';
import { openWith } from '../mqtt/client.ts';
import { Link } from '../mqtt/link.ts';
import type { PublishOutcome } from '../mqtt/protocol.ts';
import type { FromTree, Source, ToTree } from './protocol.ts';
import { Desk } from './tree/desk.ts';
import { Feed } from './tree/feed.ts';
import { browserNetwork, TopicsSource, topicsUrl } from './tree/topics-source.ts';

interface WorkerScope {
  postMessage: (message: FromTree) => void;
  addEventListener: ((type: 'message', listener: (event: MessageEvent<ToTree>) => void) => void) &
    ((type: 'online', listener: () => void) => void);
}

const scope = globalThis as unknown as WorkerScope;
const desk: Desk = new Desk(
  (message) => {
    scope.postMessage(message);
  },
  {
    publish: (message): Promise<PublishOutcome> => link.publish(message),
    need: (filter) => feed.need(filter),
  },
);
const link: Link<Message> = new Link<Message>(
  openWith({
    // With the QoS and the RETAIN flag that the publisher has given; Retain Handling sends what is retained.
    subscribe: { qos: 2, rap: true },
    // The tree counts the messages of each topic and numbers them.
    read: (packet, payload) => messageOf(packet, payload, 0, Date.now()),
  }),
  (message) => {
    if (message.kind === 'status') scope.postMessage(message);
  },
  desk,
);
const feed: Feed = new Feed(link);
const topics = new TopicsSource(browserNetwork, {
  handleNews: (news) => {
    desk.handleNews(news);
  },
  handleStatus: (status) => {
    desk.flush();
    scope.postMessage({ kind: 'tree', status });
  },
});
let source: Source = 'filters';
let api: string | undefined;

function setSource(wanted: Source): void {
  source = wanted;
  desk.setSource(source);
  feed.setSource(source);
  if (source === 'tree' && api !== undefined) topics.start(topicsUrl(api));
  else topics.stop();
}

function connect(message: Extract<ToTree, { kind: 'connect' }>): void {
  api = message.api;
  topics.stop();
  setSource(source);
  if (message.credentials !== undefined) link.handle({ kind: 'login', credentials: message.credentials });
  link.handle({ kind: 'connect', url: message.url, clientId: message.clientId, filters: [] });
}

function handle(message: ToTree): void {
  if (message.kind === 'connect') {
    connect(message);
  } else if (message.kind === 'login') {
    link.handle({ kind: 'login', credentials: message.credentials });
    if (message.isAnother) {
      topics.stop();
      setSource(source);
    } else {
      topics.retryNow();
    }
  } else if (message.kind === 'retry') {
    link.handle(message);
    topics.retryNow();
  } else if (message.kind === 'filters') {
    feed.setFilters(message.filters);
  } else if (message.kind === 'source') {
    setSource(message.source);
  } else {
    if (message.kind === 'watch') feed.watch(message.topic);
    if (message.kind === 'unwatch') feed.unwatch(message.topic);
    desk.handle(message);
  }
}

scope.addEventListener('message', (event) => {
  handle(event.data);
});
scope.addEventListener('online', () => {
  link.retryNow();
  topics.retryNow();
});
