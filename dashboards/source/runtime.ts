/** Is it stuck, does it leak, is it busy? */
import { dashboard, row } from './grafana/dashboard.js';
import { heatmap } from './grafana/heatmap.js';
import { heap, instance, logs, open, profile, stalls, tasks, traces } from './grafana/links.js';
import { ask, increase, max, of, ours, rate, ratio, sum } from './grafana/query.js';
import { table } from './grafana/table.js';
import { timeline } from './grafana/timeline.js';
import { timeseries } from './grafana/timeseries.js';
import { unit } from './grafana/units.js';
import { schedulingDelay, tooLong, workersBusy } from './measures.js';

const EACH = 'instance, runtime';
const each = '{{instance}} {{runtime}}';
const on = (title: string, path: string) => ({
    title,
    url: `http://\${__data.fields.Instance}${path}`,
    targetBlank: true,
});

export const runtime = dashboard(
    'runtime',
    'The process from inside: tokio, memory, descriptors, and the ways to a profile of it.',

    row(
        'Is it stuck?',
        8,
        timeline({
            id: 10,
            title: 'Stalled',
            width: 8,
            unit: unit.onOff,
            description: `
                Red: for too long a worker has been in one poll, or none came to a new task. Click and read what is
                stuck: it names the task and the line.`,
            states: { 0: ['runs', 'green'], 1: ['stalled', 'red'] },
            ask: [ask(max(of('tokio_runtime_stalled'), EACH), each)],
            alerts: ['RuntimeStalled'],
            see: [stalls, tasks, logs('glasshouse_stall_id!=""')],
        }),
        timeseries({
            id: 11,
            title: 'Scheduling delay',
            width: 8,
            unit: unit.seconds,
            description: `
                p99 of how long a task that could run waits for a worker. Above the line every request pays it.
                Workers busy: too little processor. Not busy: something blocks, take a flamegraph.`,
            ask: [ask(schedulingDelay(EACH), each)],
            lines: [{ alert: 'SchedulingDelay', at: 0.1 }],
            alerts: ['SchedulingDelay'],
            see: [profile, stalls, tasks],
        }),
        timeseries({
            id: 30,
            title: 'Stalls',
            width: 8,
            unit: unit.count,
            description: `
                Stalls that began within each step, and those of which no stack could be taken. The last few are kept
                by the instance, with their stacks.`,
            ask: [
                ask(sum(increase('tokio_runtime_stalls_total'), EACH), each),
                ask(sum(increase('tokio_runtime_stalls_uncaptured_total')), 'without a stack'),
            ],
            alerts: ['RuntimeStalled'],
            see: [stalls, logs('glasshouse_stall_id!=""')],
        }),
    ),

    row(
        'Does it leak, does it die?',
        8,
        timeseries({
            id: 12,
            title: 'Tasks',
            width: 8,
            unit: unit.count,
            description: `
                Tasks that have not ended. They follow the requests; a floor that only rises is a leak. Click and see
                what they wait for: the largest group is it.`,
            ask: [ask(sum(of('tokio_runtime_alive_tasks'), EACH), each)],
            alerts: ['TaskLeak'],
            see: [tasks, instance('Tasks as a flamegraph', '/debug/flamegraph?of=tasks')],
        }),
        timeseries({
            id: 13,
            title: 'Memory',
            width: 8,
            unit: unit.bytes,
            description: `
                What the program has allocated, what the system holds for it, and the limit past which it is killed.
                Allocated grows and does not come back: a leak; switch on heap sampling and see who.`,
            ask: [
                ask(sum(of('jemalloc_allocated_bytes'), 'instance'), '{{instance}} allocated'),
                ask(sum(ours(of('process_resident_memory_bytes')), 'instance'), '{{instance}} resident'),
                ask(max(of('process_memory_limit_bytes')), 'limit'),
            ],
            limits: ['limit'],
            alerts: ['HeapGrowth'],
            see: [heap, instance('Whether the heap is sampled', '/debug/heap')],
        }),
        timeseries({
            id: 14,
            title: 'File descriptors',
            width: 8,
            unit: unit.share,
            description: `
                Which share of the descriptors it may open is open. At 1 it can accept and connect no more.
                Connections that nobody closes: see Connections in HTTP.`,
            ask: [
                ask(
                    ratio(sum(ours(of('process_open_fds')), 'instance'), sum(of('process_max_fds'), 'instance')),
                    '{{instance}}',
                ),
            ],
            lines: [{ alert: 'FileDescriptorsLow', at: 0.8 }],
            alerts: ['FileDescriptorsLow'],
            see: [open('http')],
        }),
        timeseries({
            id: 15,
            title: 'Starts',
            width: 8,
            unit: unit.count,
            description: `
                How often each instance was started within half an hour. Above the line it is no deploy: it crashes
                or is killed. Its last lines say why, or Memory above does.`,
            ask: [ask(ours(`changes(${of('process_start_time_seconds')}[30m])`), '{{instance}}')],
            lines: [{ alert: 'CrashLoop', at: 3 }],
            alerts: ['CrashLoop'],
            see: [logs('detected_level="error"'), instance('Which build it is', '/debug/build')],
        }),
        timeseries({
            id: 16,
            title: 'Panics',
            width: 8,
            unit: unit.count,
            description: `
                Panics within each step. Each is a bug, and each has a line with its message, place and backtrace.`,
            ask: [ask(sum(increase('glasshouse_panics_total'), 'instance'), '{{instance}}')],
            alerts: ['Panics'],
            see: [logs('exception_type="panic"'), traces('span.error.type="panic"')],
        }),
        timeseries({
            id: 31,
            title: 'Injected faults',
            width: 8,
            unit: unit.perSecond,
            description: `
                How often a fault that somebody switched on was met. Not zero outside of a game day: end them with
                DELETE /debug/faults.`,
            ask: [ask(sum(rate('glasshouse_faults_injected_total'), 'fault'), '{{fault}}')],
            see: [open('overview')],
        }),
    ),

    row(
        'Is it busy, and with what?',
        8,
        timeseries({
            id: 32,
            title: 'Workers busy',
            width: 8,
            unit: unit.share,
            description: `
                Which share of its time the runtime worked. Near 1: it needs more processor, or does something dear.
                A flamegraph says what.`,
            ask: [ask(workersBusy, each)],
            max: 1,
            see: [profile],
        }),
        timeseries({
            id: 33,
            title: 'CPU',
            width: 8,
            unit: unit.count,
            description: `
                How many processors the process keeps busy. More than the workers: password hashing, or the blocking
                threads.`,
            ask: [ask(sum(ours(rate('process_cpu_seconds_total')), 'instance'), '{{instance}}')],
            see: [profile],
        }),
        timeseries({
            id: 34,
            title: 'Queues',
            width: 8,
            unit: unit.count,
            description: `
                Tasks and closures that wait for a thread. They stand and do not drain: workers are blocked, or there
                are too few blocking threads.`,
            ask: [
                ask(sum(of('tokio_runtime_global_queue_depth'), 'runtime'), '{{runtime}} tasks'),
                ask(sum(of('tokio_runtime_blocking_queue_depth'), 'runtime'), '{{runtime}} blocking'),
            ],
            see: [open('overview')],
        }),
        heatmap({
            id: 35,
            title: 'Polls',
            width: 12,
            unit: unit.seconds,
            description: `
                How long one poll of a task takes. Microseconds are right. What reaches milliseconds holds its
                worker, and everything that waits for it.`,
            of: 'tokio_runtime_poll_duration_seconds',
            see: [logs('glasshouse_stall_id!=""')],
        }),
        heatmap({
            id: 36,
            title: 'Scheduling delays',
            width: 12,
            unit: unit.seconds,
            description:
                'How delays are spread. A band far above the rest is what a blocked worker costs those behind it.',
            of: 'tokio_runtime_scheduling_delay_seconds',
            see: [traces(tooLong)],
        }),
    ),

    row(
        'What is inside?',
        8,
        timeseries({
            id: 37,
            title: 'Allocator',
            width: 8,
            unit: unit.bytes,
            description: `
                Active far above allocated is fragmentation; resident far above active is what the allocator has not
                given back yet; retained is address space alone.`,
            ask: [
                ask(sum(of('jemalloc_allocated_bytes')), 'allocated'),
                ask(sum(of('jemalloc_active_bytes')), 'active'),
                ask(sum(of('jemalloc_resident_bytes')), 'resident'),
                ask(sum(of('jemalloc_retained_bytes')), 'retained'),
                ask(sum(ours(of('process_virtual_memory_bytes'))), 'address space'),
            ],
            see: [open('telemetry')],
        }),
        timeseries({
            id: 38,
            title: 'Threads',
            width: 8,
            unit: unit.count,
            description: `
                Workers are as many as was set; blocking threads come and go. Many of them that stay: blocking calls
                that do not end.`,
            ask: [
                ask(sum(ours(of('process_threads'))), 'all'),
                ask(sum(of('tokio_runtime_workers'), 'runtime'), '{{runtime}} workers'),
                ask(sum(of('tokio_runtime_blocking_threads'), 'runtime'), '{{runtime}} blocking'),
            ],
            see: [open('overview')],
        }),
        table({
            id: 39,
            title: 'Tools of each instance',
            width: 8,
            unit: unit.since,
            description: `
                Click an instance for what it can say of itself: flamegraphs, stalls, tasks, heap. Its internal port
                must be reachable from where you sit.`,
            ask: [ask(ours(`1000 * ${of('process_start_time_seconds')}`), '')],
            columns: [
                {
                    of: 'instance',
                    title: 'Instance',
                    see: [
                        on('Its page', '/'),
                        on('CPU flamegraph, taken now', '/debug/flamegraph?of=cpu'),
                        on('Heap flamegraph', '/debug/flamegraph?of=heap'),
                        on('Tasks as a flamegraph', '/debug/flamegraph?of=tasks'),
                        on('What each task waits for', '/debug/pprof/goroutine?debug=1'),
                        on('What is stuck', '/debug/stalls'),
                        on('CPU profile, 30 s, for go tool pprof', '/debug/pprof/profile'),
                    ],
                },
                { of: 'Value', title: 'Started', unit: unit.since },
            ],
        }),
    ),
);
