// The charts, fed: asks for what is new every interval, and keeps one window of it.

import { asked } from "./asking.js";
import { charts } from "./charts.js";
import { byId, say } from "./elements.js";
import { duration } from "./units.js";

const state = { started: 0, window: 300, readings: [] };
const slider = byId("back");

/** Fetches what is new; throws a Failure if that does not work. Gives the whole answer. */
export async function refresh() {
    // What is kept belongs to this number: another process would be told apart by when it was started.
    const since = state.readings.at(-1)?.number ?? 0;
    let answer = await newer(since);
    if (answer.started_seconds !== state.started && since > 0) answer = await newer(0);
    if (answer.started_seconds !== state.started) {
        state.readings = [];
        state.started = answer.started_seconds;
    }
    state.window = answer.window_seconds;
    const newest = state.readings.at(-1)?.number ?? 0;
    state.readings.push(...answer.readings.filter((reading) => reading.number > newest));
    const end = state.readings.at(-1)?.at_seconds ?? 0;
    state.readings = state.readings.filter((reading) => reading.at_seconds > end - state.window);
    say(byId("uptime"), duration(answer.uptime_seconds));
    const notes = [];
    if (!answer.is_recording_requests) notes.push("Requests are not counted: OTEL_SDK_DISABLED is set.");
    if (answer.faults.length > 0) notes.push(`Faults are on, see /debug/faults: ${answer.faults.join(", ")}.`);
    note(notes.join(" "));
    show();
    return answer;
}

async function newer(since) {
    const response = await asked(`/debug/live?since=${since}`, { signal: AbortSignal.timeout(5000) });
    return response.json();
}

/** Says what is to be known of the charts; an empty text takes it away. */
function note(text) {
    const gap = byId("gap");
    say(gap, text);
    gap.hidden = text === "";
}

function show() {
    const end = state.readings.at(-1)?.at_seconds ?? 0;
    const moment = end + Number(slider.value);
    const chosen = Number(slider.value) === 0
        ? state.readings.at(-1)
        : state.readings.findLast((reading) => reading.at_seconds <= moment + 0.5) ?? state.readings[0];
    const back = chosen ? end - chosen.at_seconds : 0;
    const words = back < 1 ? "now" : `${duration(back)} ago`;
    say(byId("moment"), words);
    slider.setAttribute("aria-valuetext", words);
    for (const chart of charts) chart.show(state.readings, chosen, end, state.window);
}

/** Puts the charts on the page; the slider and the pointer choose the moment whose numbers are shown. */
export function begin() {
    const place = byId("charts");
    place.append(...charts.map((chart) => chart.element));
    slider.addEventListener("input", show);
    for (const { picture } of charts) {
        picture.addEventListener("pointermove", (event) => {
            const { left, width } = picture.getBoundingClientRect();
            slider.value = String(-state.window * (1 - (event.clientX - left) / width));
            show();
        });
        picture.addEventListener("pointerleave", () => {
            slider.value = "0";
            show();
        });
    }
    show();
}
