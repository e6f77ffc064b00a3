// The page: begins everything, and asks again as long as somebody looks.

import { Failure } from "./asking.js";
import { begin as beginCommands } from "./commands.js";
import { refresh as refreshHealth } from "./health.js";
import { begin as beginLive, refresh as refreshLive } from "./live.js";
import { begin as beginLogFilter, refresh as refreshLogFilter } from "./log_filter.js";
import { begin as beginTools, tool } from "./tools.js";

// A browser has six connections for one port, and a profile holds one for as long as it takes: what may be asked for
// seldom must not make the rest wait.
const OFTEN_MS = 2000;
const SELDOM_MS = 10_000;

beginLive();
beginTools();
beginCommands(tool("terminal"));
beginLogFilter(tool("log"));

/** Asks, and again a while after the answer: one question at a time, however slow the server is. */
function repeat(refresh, period) {
    const round = async () => {
        // A tab that nobody looks at asks nothing; the server keeps the window meanwhile.
        if (!document.hidden) {
            try {
                await refresh();
            } catch (fault) {
                // That there is no answer is the headline's to say.
                if (!(fault instanceof Failure)) throw fault;
            } finally {
                setTimeout(round, period);
            }
        } else {
            document.addEventListener("visibilitychange", round, { once: true });
        }
    };
    round();
}

repeat(refreshHealth, OFTEN_MS);
repeat(refreshLive, OFTEN_MS);
repeat(refreshLogFilter, SELDOM_MS);
