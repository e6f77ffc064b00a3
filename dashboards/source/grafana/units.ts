/** What an axis counts, in Grafana's words. */
export const unit = {
    bytes: 'bytes',
    bytesPerSecond: 'Bps',
    callsPerSecond: 'ops',
    count: 'short',
    onOff: 'bool_on_off',
    perSecond: 'cps',
    requestsPerSecond: 'reqps',
    seconds: 's',
    share: 'percentunit',
    since: 'dateTimeFromNow',
} as const;

export type Unit = (typeof unit)[keyof typeof unit];
