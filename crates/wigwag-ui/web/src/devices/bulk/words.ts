/** What the results of a command to many devices are called. */
import type { ResultKind } from './bulk-store.ts';

export const WORDS: Record<ResultKind, string> = {
  waiting: 'waiting',
  pending: 'pending',
  confirmed: 'confirmed',
  delivered: 'taken by the broker',
  rejected: 'rejected',
  unheard: 'unheard',
  'timed-out': 'timed out',
  interrupted: 'unconfirmed',
  busy: 'busy',
  gone: 'gone',
  'not-sent': 'not sent',
};

export const MEANINGS: Record<ResultKind, string> = {
  waiting: 'Its turn is still to come',
  pending: 'Sent; the answer is still to come',
  confirmed: 'The device answered, or its new state says so',
  delivered: 'The broker took it; the device has no way to say more',
  rejected: 'The device or the broker refused it',
  unheard: 'The broker says that nobody is listening for it',
  'timed-out': 'Sent, and no answer within 5 s',
  interrupted: 'Sent, and the connection was lost before an answer',
  busy: 'Another command to the device was pending, so this one was not sent',
  gone: 'The device was gone when its turn came',
  'not-sent': 'Cancelled before its turn',
};
