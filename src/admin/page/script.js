
"use strict";
// Shows the snapshots of api/status/events. Whatever comes from outside is set as text, never as HTML.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const KEPT = 60;          // Rates of a sparkline, one a second.
  const OLD_AFTER = 5000;   // Milliseconds without a snapshot after which the figures are called old.
  const AGAIN_AFTER = 5000; // Milliseconds before the next attempt where the browser makes none by itself.
  const byId = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en");
  const cards = new Map();
  const streams = new Map();
  let latest = null;        // When the last snapshot came, by the page's own clock.

  function make(name, parent, text, className) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  // A text that did not change is left alone, so that nothing is read aloud or drawn for it.
  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function fact(list, name) {
    const pair = make("div", list);
    make("dt", pair, name);
    return make("dd", pair, "–");
  }

  function duration(seconds) {
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  }

  function ago(now, then) {
    return then ? `${duration(Math.max(0, (Date.parse(now) - Date.parse(then)) / 1000))} ago` : "never";
  }

  function section(stream) {
    if (!streams.has(stream)) {
      const place = make("section", byId("streams"));
      const id = `stream-${streams.size}`;
      const head = make("div", place, undefined, "head");
      make("h2", head, stream).id = id;
      place.setAttribute("aria-labelledby", id);
      const sum = make("p", head);
      streams.set(stream, { sum, list: make("ul", place) });
    }
    return streams.get(stream);
  }

  function card(shard) {
    if (cards.has(shard.shard)) return cards.get(shard.shard);
    const item = make("li", section(shard.stream).list);
    const head = make("div", item, undefined, "head");
    make("h3", head, `Shard ${shard.number}`);
    const badge = make("span", head, "", "badge");
    const rate = make("div", item, undefined, "rate");
    const figure = make("p", rate);
    const perSecond = make("strong", figure, "–");
    figure.append(" events/s");
    const chart = document.createElementNS(SVG, "svg");
    chart.setAttribute("viewBox", `0 0 ${KEPT - 1} 20`);
    chart.setAttribute("preserveAspectRatio", "none");
    chart.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "polyline");
    chart.append(line);
    rate.append(chart);
    const list = make("dl", item);
    const facts = {
      lag: fact(list, "Lag"), commit: fact(list, "Last commit"), delivered: fact(list, "Delivered"),
      duplicates: fact(list, "Duplicates"), dead: fact(list, "Dead letters"), waiting: fact(list, "Not committed"),
      connections: fact(list, "Connections"), reconnects: fact(list, "Reconnects"), owner: fact(list, "Owner"),
    };
    const said = (title) => {
      const text = make("p", item, undefined, "said");
      const name = make("strong", text, title);
      return { text, name, reason: make("span", text) };
    };
    const made = { item, badge, perSecond, line, facts, wrong: said("Wrong now"), error: said("Last error"), rates: [] };
    cards.set(shard.shard, made);
    return made;
  }

  function spark(made, rate) {
    made.rates.push(rate);
    if (made.rates.length > KEPT) made.rates.shift();
    const most = Math.max(1, ...made.rates);
    const first = KEPT - made.rates.length;
    const points = made.rates.map((rate, at) => `${first + at},${(19 - 18 * rate / most).toFixed(1)}`);
    made.line.setAttribute("points", points.join(" "));
  }

  function tell(place, bad, title, reason) {
    place.text.hidden = !reason;
    place.text.className = bad ? "said bad" : "said";
    say(place.name, title);
    say(place.reason, reason || "");
  }

  function show(now, shard) {
    const made = card(shard);
    const owned = shard.owner === "this instance";
    made.item.className = shard.ready ? "" : "bad";
    made.badge.className = `badge ${shard.ready ? (owned ? "good" : "") : "bad"}`;
    say(made.badge, `${shard.state}${shard.ready ? "" : " – not ready"}`);
    if (shard.events_per_second !== undefined) {
      say(made.perSecond, number.format(shard.events_per_second));
      spark(made, shard.events_per_second);
    }
    const facts = made.facts;
    say(facts.lag, shard.lag_seconds === undefined ? "–" : duration(shard.lag_seconds));
    say(facts.commit, owned ? ago(now, shard.last_commit) : "–");
    say(facts.delivered, number.format(shard.delivered));
    say(facts.duplicates, number.format(shard.duplicates));
    say(facts.dead, number.format(shard.dead_letters));
    say(facts.waiting, shard.oldest_uncommitted_seconds ? `for ${duration(shard.oldest_uncommitted_seconds)}` : "nothing");
    say(facts.connections, number.format(shard.connections));
    say(facts.reconnects, number.format(shard.reconnects));
    say(facts.owner, shard.held_by || shard.owner);
    const error = shard.last_error;
    // What is wrong now is not said twice.
    const isNew = error && error.reason !== shard.reason;
    const wrong = error && !isNew ? `Wrong now: ${error.class}` : "Wrong now";
    tell(made.wrong, true, shard.since ? `${wrong}, for ${ago(now, shard.since).replace(" ago", "")}` : wrong, shard.reason);
    tell(made.error, false, error ? `Last error: ${error.class}, ${ago(now, error.time)}` : "", isNew ? error.reason : "");
  }

  const facts = {};
  function showProcess(status) {
    const say_ = (name, text) => say(facts[name] ??= fact(byId("process"), name), text);
    const with_ = (word, place) => place.reason ? `${word}: ${place.reason}` : word;
    say_("Kafka", with_(status.kafka.answers ? "answers" : "does not answer", status.kafka));
    if (status.group) say_("Group", with_(status.group.joined ? `joined as ${status.group.instance_id}` : "not joined", status.group));
    if (status.webhook) say_("Webhooks", with_(status.webhook.ready ? "received" : "not received", status.webhook));
    say_("Running for", ago(status.time, status.started).replace(" ago", ""));
    say_("Version", status.version);
  }

  function update(status) {
    latest = performance.now();
    showProcess(status);
    const sums = new Map();
    for (const shard of status.shards) {
      show(status.time, shard);
      const sum = sums.get(shard.stream) || { rate: 0, ready: 0, all: 0 };
      sum.rate += shard.events_per_second || 0;
      sum.ready += shard.ready ? 1 : 0;
      sum.all += 1;
      sums.set(shard.stream, sum);
    }
    for (const [stream, sum] of sums) {
      say(section(stream).sum, `${number.format(sum.rate)} events/s, ${sum.ready} of ${sum.all} ready`);
    }
    const ready = status.shards.filter((shard) => shard.ready).length;
    const all = status.shards.length;
    let verdict = ready === all ? `All shards are ready (${all}).` : `Not ready: ${all - ready} of ${all} shards.`;
    if (ready === all && !status.ready) verdict += " The process as a whole is not.";
    say(byId("verdict"), verdict);
    document.title = `${status.ready ? "" : "Not ready – "}Tributary`;
    age();
  }

  function age() {
    const since = latest === null ? performance.now() : performance.now() - latest;
    const isOld = since >= OLD_AFTER;
    document.body.classList.toggle("old", isOld);
    const stale = byId("stale");
    if (isOld !== !stale.hidden) {
      stale.hidden = !isOld;
      const at = new Date(Date.now() - since).toLocaleTimeString();
      say(stale, !isOld ? "" : latest === null
        ? "The process has sent no figures yet. This page asks again by itself."
        : `These figures are old: the process has sent none since ${at}. This page asks again by itself.`);
    }
  }

  function listen() {
    const source = new EventSource("api/status/events");
    source.onmessage = (event) => update(JSON.parse(event.data));
    source.onerror = () => {
      // After an answer that is no stream, as when too many look, the browser gives up.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_AFTER);
    };
  }

  listen();
  setInterval(age, 1000);
})();
