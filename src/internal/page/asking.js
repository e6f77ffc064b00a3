// Asking the server: an answer, or a Failure that says in words what went wrong.

/** What a person is told. `status` is 0 where there was no answer at all. */
export class Failure extends Error {
    constructor(status, words) {
        super(words);
        this.status = status;
    }
}

/** Against the bare origin: with a password in the address, the browser would refuse a relative one. */
export const address = (path) => new URL(path, location.origin).href;

/** The response to a request, whatever its status; throws a Failure if there is none, and AbortError if it was cut. */
export async function ask(path, options = {}) {
    try {
        return await fetch(address(path), { cache: "no-store", ...options });
    } catch (fault) {
        if (fault.name === "AbortError") throw fault;
        if (fault.name === "TimeoutError") throw new Failure(0, "The server has not answered in time.");
        throw new Failure(0, "The server does not answer.");
    }
}

/** The response, if its status says that it worked; otherwise throws the server's own words. */
export async function asked(path, options = {}) {
    const response = await ask(path, options);
    if (response.ok) return response;
    const text = (await body(response)).trim();
    const status = `${response.status} ${response.statusText}`.trim();
    throw new Failure(response.status, text === "" ? status : `${status}: ${text}`);
}

/** The whole text of a response; throws a Failure if it breaks off. */
export async function body(response) {
    try {
        return await response.text();
    } catch (fault) {
        if (fault.name === "AbortError") throw fault;
        throw new Failure(0, "The answer broke off.");
    }
}
