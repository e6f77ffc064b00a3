// W3C trace context, so that what a client saw can be found in the service's traces.

import crypto from 'k6/crypto';
import { TRACE_RATIO } from './settings.ts';

function hex(bytes: number): string {
  return Array.from(new Uint8Array(crypto.randomBytes(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A new trace: its id, and the header that makes a request part of it. A few per cent ask for being sampled. */
export function trace(): { id: string; traceparent: string } {
  const id = hex(16);
  const flags = Math.random() < TRACE_RATIO ? '01' : '00';
  return { id, traceparent: `00-${id}-${hex(8)}-${flags}` };
}
