// Asks the operators' API, and knows whether it answers: every request of the page goes through here.

import { keep, kept } from "./storage.js";

const TOKEN = "gateway.admin.token";
const DEADLINE = 10_000;
// What is done takes longer than what is looked at.
const PATIENCE = 60_000;

/** The API's answer is a refusal; `errors` are a config's mistakes. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `The gateway answered with ${status}.`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

/** No answer came, or not in time. */
export class Unreachable extends Error {}

/**
 * Where the API is, and how it stands with it. `state` is one of
 *   waiting  nothing has been answered yet
 *   live     it answers
 *   lost     it does not, since `since`; `detail` says more where it answers with a refusal
 *   locked   it wants a token, or another one
 * A `change` event tells each change.
 */
export class Connection extends EventTarget {
  state = "waiting";
  since = new Date();
  detail = "";
  #token = kept("sessionStorage", TOKEN);

  /** Whether a token is presented: what is asked for then is that it is wrong. */
  get presents() {
    return this.#token !== null;
  }

  /**
   * The JSON of an answer. Throws Refused, and Unreachable; a refused token locks besides.
   * `path` is below the page, `content` is sent as JSON, `deadline` is in milliseconds.
   */
  async ask(path, { method = "GET", content, deadline = method === "GET" ? DEADLINE : PATIENCE } = {}) {
    const presented = this.#token;
    const [response, document] = await this.#exchange(path, method, content, deadline, presented);
    if (response.ok) return document;
    // An answer to a token that has been replaced meanwhile says nothing of the present one.
    if (response.status === 401 && presented === this.#token) this.#turn("locked");
    throw new Refused(response.status, document);
  }

  /** Presents this token from now on. Throws Refused, and Unreachable, and then all is as before. */
  async unlock(token) {
    // No field can carry it: the browser would not even ask.
    if (/[^\x20-\xff]/.test(token)) throw new Refused(401, {});
    const [response, document] = await this.#exchange("-/overview", "GET", undefined, DEADLINE, token);
    if (!response.ok) throw new Refused(response.status, document);
    this.#token = token;
    keep("sessionStorage", TOKEN, token);
    this.#turn("live");
  }

  /** It answered what is asked for all the time. */
  answered() {
    this.#turn("live");
  }

  /** It did not. */
  failed(error) {
    if (this.state === "locked") return;
    this.#turn("lost", error instanceof Refused ? error.message : "");
  }

  async #exchange(path, method, content, deadline, token) {
    const headers = { Accept: "application/json" };
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    if (content !== undefined) headers["Content-Type"] = "application/json";
    const body = content === undefined ? undefined : JSON.stringify(content);
    const signal = AbortSignal.timeout(deadline);
    const options = { method, headers, body, signal, cache: "no-store", credentials: "omit", redirect: "error" };
    try {
      const response = await fetch(path, options);
      return [response, await response.json()];
    } catch (error) {
      throw new Unreachable("The gateway did not answer.", { cause: error });
    }
  }

  #turn(state, detail = "") {
    if (state === this.state && detail === this.detail) return;
    if (state !== this.state) this.since = new Date();
    this.state = state;
    this.detail = detail;
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * Asks for one thing again and again: `every` so many milliseconds while the page is looked at, never twice at a time.
 * `path` is a string or makes one, `show` takes what is answered. While the gateway cannot be reached only the `heart`
 * goes on asking, and no poll does while a token is wanted.
 */
export class Poll {
  #connection;
  #options;
  #timer = null;
  #underWay = false;
  #wanted = false;

  constructor(connection, options) {
    this.#connection = connection;
    this.#options = options;
    connection.addEventListener("change", () => this.#resume());
    document.addEventListener("visibilitychange", () => this.#resume());
    this.#resume();
  }

  /** Ask now, or as soon as what is under way has ended. */
  soon() {
    if (this.#underWay) this.#wanted = true;
    else this.#resume();
  }

  get #due() {
    const { state } = this.#connection;
    const able = this.#options.heart ? state !== "locked" : state === "live";
    return able && document.visibilityState === "visible";
  }

  #resume() {
    clearTimeout(this.#timer);
    if (this.#due && !this.#underWay) this.#run();
  }

  async #run() {
    const { path, every, deadline, show, heart = false } = this.#options;
    this.#underWay = true;
    this.#wanted = false;
    try {
      const asked = typeof path === "string" ? path : path();
      show(await this.#connection.ask(asked, { deadline }));
      if (heart) this.#connection.answered();
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      if (heart) this.#connection.failed(error);
      this.#options.failed?.(error);
    } finally {
      this.#underWay = false;
      clearTimeout(this.#timer);
      if (this.#due) this.#timer = setTimeout(() => this.#run(), this.#wanted ? 0 : every);
    }
  }
}
