// The operators' page: what is asked for, how often, and where it is shown.

import { nearestTable, organizationsUsage, searchAccounts, showAbove, spendersUsage } from "./accounts.js";
import { wireConfig } from "./config.js";
import { Connection, Poll } from "./connection.js";
import { askForToken } from "./dialogs.js";
import { find, mark, say } from "./dom.js";
import { wireExplain } from "./explain.js";
import { second } from "./format.js";
import { layTiles, showCurves, showFigures, showFirst } from "./glance.js";
import { History } from "./history.js";
import { REFRESHES, offerNames, refreshesTable, wireRefresh } from "./refreshes.js";
import { storedTable, wirePurge } from "./stored.js";
import { distinct, refusalsTable, routesTable, showReasons, upstreamsTable } from "./tables.js";
import { watchTheme } from "./theme.js";
import { Traffic, showSaving } from "./traffic.js";
import { View } from "./view.js";

const connection = new Connection();
const history = new History();

layTiles();
const traffic = new Traffic();
const routes = routesTable();
const upstreams = upstreamsTable();
const refusals = refusalsTable();
const nearest = nearestTable();
const organizations = organizationsUsage();
const spenders = spendersUsage();
const stored = storedTable();
const refreshes = refreshesTable(connection, () => jobs.soon());
const showConfig = wireConfig(connection);
let started = null;

function draw() {
  traffic.show(history, view.minutes);
  showCurves(history, view.minutes);
}

function showOverview(overview) {
  if (started !== null && started !== overview.started_at) {
    history.clear();
    points.soon();
  }
  started = overview.started_at;
  showFigures(overview);
  showFirst(overview);
  showSaving(overview.routes);
  showReasons(overview.refusals);
  showAbove(overview.accounts_above);
  routes.show(overview.routes);
  upstreams.show(overview.upstreams);
  showConfig(overview);
}

function showState() {
  const { state, since, detail } = connection;
  const words = {
    waiting: "Connecting …",
    live: "Live",
    lost: detail === "" ? `Not reachable since ${second(since / 1000)}` : `${detail} (since ${second(since / 1000)})`,
    locked: "Token needed",
  };
  mark(document.documentElement, "data-state", state);
  say(find("#status"), words[state]);
  document.title = state === "lost" ? "gateway – not reachable" : "gateway";
}

const view = new View({
  filtered: (text) => {
    const listed = [routes, upstreams, nearest, stored.table, refreshes, refusals, organizations.table, spenders.table];
    for (const table of listed) table.filter(text);
  },
  ranged: draw,
});

connection.addEventListener("change", showState);
showState();
askForToken(connection);
watchTheme(find("#theme"), () => traffic.recolour());

const poll = (path, every, show, more = {}) => new Poll(connection, { path, every, deadline: 10_000, show, ...more });
const of = (table, show) => [show, { failed: (error) => table.failed(error.message) }];

poll("-/overview", 2000, showOverview, { heart: true, deadline: 5000 });
const points = poll(
  () => history.path,
  5000,
  (told) => {
    history.add(told);
    draw();
  },
);
poll("-/refusals", 5000, ...of(refusals, (told) => refusals.show(distinct(told.refusals))));
const jobs = poll(
  REFRESHES,
  3000,
  ...of(refreshes, (told) => {
    refreshes.show(told.refreshes);
    offerNames(told.refreshes);
  }),
);
poll("-/quotas?most=20", 10_000, ...of(nearest, (told) => nearest.show(told.accounts)));
const summary = poll("-/stored/summary", 10_000, ...of(stored.table, stored.show));
for (const usage of [organizations, spenders])
  poll(usage.path, 30_000, ...of(usage.table, usage.show), { deadline: 25_000 });

searchAccounts(connection);
wireExplain(connection);
wirePurge(connection, () => summary.soon());
wireRefresh(connection, () => jobs.soon());
