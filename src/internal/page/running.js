// One tool at work: what it was asked, how far it is, how to stop it, and what came of it.

import { Failure } from "./asking.js";
import { make, say } from "./elements.js";

/** A tool of the page: its article with the lines that say something and the place for what it shows. */
export class Tool {
    constructor(article) {
        this.article = article;
        this.said = article.querySelector(".said");
        this.shown = article.querySelector(".shown");
        this.run = null;
    }

    /** Says a short sentence, which is read out too. */
    say(text, hasFailed = false) {
        say(this.said, text);
        this.said.classList.toggle("failed", hasFailed);
    }

    /**
     * Does `work(signal)` and shows the elements it gives. `doing` says what takes so long; with `seconds` there is
     * progress. Another run of the same tool ends this one, and so does Cancel: the server sees the connection go.
     * `offer` may give buttons for a Failure: what to do about it.
     */
    async start({ doing, seconds, work, done = "", offer = () => [] }) {
        this.run?.abort();
        const run = (this.run = new AbortController());
        const progress = make("progress", { "aria-label": doing, ...(seconds ? { max: String(seconds), value: "0" } : {}) });
        const left = make("span", { class: "left" });
        const cancel = make("button", { class: "cancel", onclick: () => run.abort() }, "Cancel");
        this.say(doing);
        this.shown.replaceChildren(make("div", { class: "progress" }, progress, left, cancel));
        this.article.setAttribute("aria-busy", "true");
        const began = performance.now();
        const tick = seconds && setInterval(() => {
            const passed = (performance.now() - began) / 1000;
            progress.value = Math.min(passed, seconds);
            say(left, passed < seconds ? `${Math.ceil(seconds - passed)} s left` : "drawing");
        }, 250);
        try {
            const elements = await work(run.signal);
            if (this.run !== run) return;
            this.finish(done, false, elements);
        } catch (fault) {
            if (this.run !== run) return;
            if (fault.name === "AbortError") this.finish("Cancelled.", false, []);
            else if (fault instanceof Failure) this.finish(fault.message, true, offer(fault));
            else this.finish(`The page itself has failed: ${fault}`, true, []);
        } finally {
            clearInterval(tick);
        }
    }

    finish(words, hasFailed, elements) {
        const hadFocus = this.shown.contains(document.activeElement);
        this.run = null;
        this.article.removeAttribute("aria-busy");
        this.say(words, hasFailed);
        this.shown.replaceChildren(...elements);
        // Cancel is gone, and whoever was on it must not be sent to the top of the page.
        if (hadFocus) {
            this.said.tabIndex = -1;
            this.said.focus();
        }
    }
}
