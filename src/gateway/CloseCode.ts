/**
 * The close codes that the gateway sends, and what each means to its client.
 *
 * Floor 3; pure. Sources: RFC 6455, 7.4.1, and the IANA registry's later codes; 4000-4999 are the application's, of which
 * 4001 and 4401 are the gateway's. What an agent may send is `checkClose`'s to say.
 */
/** The client has said goodbye. */
export const NORMAL = 1000
/** The agent has stopped. */
export const GOING_AWAY = 1001
/** A violation of RFC 6455. */
const PROTOCOL = 1002
/** A binary frame. */
export const UNSUPPORTED = 1003
/** A close frame without a code, and no close frame: never sent. */
export const NO_STATUS = 1005
export const ABNORMAL = 1006
/** Text that is no UTF-8. */
const INVALID_DATA = 1007
/** Too many invalid messages, or frames sent on and on while nothing is read. */
export const POLICY = 1008
/** A frame over its limit. */
const TOO_BIG = 1009
/** The host restarts: what has no answer was never taken. */
export const RESTART = 1012
/** Too slow for its events, stalled, or the agent is quarantined. */
export const TRY_LATER = 1013
/** Another socket has taken the session over. */
export const TAKEN_OVER = 4001
/** The principal has expired, or is another. */
export const UNAUTHORIZED = 4401

/** What `ws` calls the violations that have a code of their own. */
const violations: Readonly<Record<string, number>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: TOO_BIG,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: TOO_BIG,
  WS_ERR_INVALID_UTF8: INVALID_DATA,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: POLICY
}

/** The code for a violation that `ws` has found. */
export const ofViolation = (error: string): number => violations[error] ?? PROTOCOL
