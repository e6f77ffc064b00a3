/** Every alert that a panel stands for. A page wakes somebody and is drawn in red, a ticket waits for the morning. */
export const severity = {
    AvailabilityBurnFast: 'page',
    AvailabilityBurnSlow: 'ticket',
    LatencyBurnFast: 'page',
    LatencyBurnSlow: 'ticket',
    ErrorBudgetLow: 'ticket',
    HighErrorRate: 'page',
    HighLatencyP99: 'page',
    RequestsShed: 'ticket',
    TrafficVanished: 'page',
    DatabaseDown: 'page',
    DatabaseErrors: 'ticket',
    DatabaseSlow: 'ticket',
    PoolSaturated: 'ticket',
    CircuitOpen: 'ticket',
    RuntimeStalled: 'page',
    SchedulingDelay: 'ticket',
    TaskLeak: 'ticket',
    HeapGrowth: 'ticket',
    FileDescriptorsLow: 'ticket',
    CrashLoop: 'page',
    Panics: 'ticket',
    SignInFailures: 'ticket',
    TokenRejections: 'ticket',
    TelemetryDropped: 'ticket',
    LogLinesDropped: 'ticket',
    SeriesOverflow: 'ticket',
    TargetDown: 'page',
    TargetAbsent: 'page',
    RuleFailures: 'ticket',
    Watchdog: 'none',
} as const;

export type Alert = keyof typeof severity;

export const colour = (alert: Alert) => ({ page: 'red', ticket: 'orange', none: 'blue' })[severity[alert]];

/** Where an alert begins, as a line across the panel. */
export interface Line {
    alert: Alert;
    at: number;
}
