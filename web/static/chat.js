// The chat of one's own page: a request of the ordinary API with the session's authority, read as it comes. Nothing is
// kept: the conversation lives in this page and goes with it. Texts become text nodes, never markup.
"use strict";

const chat = document.getElementById("chat");
if (chat) {
  const part = (name) => document.getElementById(`chat-${name}`);
  const [said, state, form, model, text, ask, stop, fresh] = ["said", "state", "form", "model", "text", "ask", "stop", "new"].map(part);
  const words = chat.dataset;
  const messages = [];
  let running = null; // the AbortController of the request under way

  const put = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const number = (value) => value.toLocaleString(document.documentElement.lang);

  function money(micro) {
    const form = { style: "currency", currency: "USD", maximumFractionDigits: 6 };
    return (micro / 1e6).toLocaleString(document.documentElement.lang, form);
  }

  // What so many tokens cost by the prices of the list; null where the model has none there.
  function cost(option, tokensIn, tokensOut) {
    if (option.dataset.in === "" || option.dataset.out === "") return null;
    return (tokensIn * option.dataset.in + tokensOut * option.dataset.out) / 1e6;
  }

  function element(name, className, content) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (content) made.textContent = content;
    return made;
  }

  function turn(who, content) {
    const article = element("article", who === words.you ? "mine" : "");
    const body = element("p", "body", content);
    article.append(element("h3", "label", who), body);
    said.append(article);
    said.scrollTop = said.scrollHeight;
    return { article, body };
  }

  function copier(body) {
    const button = element("button", "copy", words.label);
    button.type = "button";
    button.addEventListener("click", () => navigator.clipboard.writeText(body.textContent).then(() => {
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.label; }, 2000);
    }, () => {}));
    return button;
  }

  function showCode() {
    const question = text.value.trim() || "Hello";
    const body = JSON.stringify({ model: model.value, stream: true, messages: [...messages, { role: "user", content: question }] });
    const quoted = body.replaceAll("'", "'\\''");
    part("curl").textContent = `curl --no-buffer ${words.url} \\\n  -H "Authorization: Bearer YOUR_TOKEN" -H "Content-Type: application/json" \\\n  -d '${quoted}'\n`;
    const base = words.url.replace("/chat/completions", "");
    part("python").textContent = [
      "from openai import OpenAI", "", `client = OpenAI(base_url=${JSON.stringify(base)}, api_key="YOUR_TOKEN")`,
      `stream = client.chat.completions.create(`, `    model=${JSON.stringify(model.value)}, stream=True,`,
      `    messages=${JSON.stringify([...messages, { role: "user", content: question }])},`, ")",
      "for chunk in stream:", "    if chunk.choices:", `        print(chunk.choices[0].delta.content or "", end="", flush=True)`, "",
    ].join("\n");
  }

  // The events of a stream, as they come: a comment as text, an event as its data.
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith(":")) yield { comment: line };
        else if (line.startsWith("data:")) yield { data: line.slice(5).trim() };
      }
    }
  }

  function place(comment) {
    const found = Object.fromEntries([...comment.matchAll(/(\w+)=(\d+)/g)].map(([, name, value]) => [name, value]));
    const wait = found.latest && found.latest !== found.wait ? `${found.wait}–${found.latest}` : found.wait;
    return found.position ? put(words.queued, { place: found.position, wait: wait ?? "?" }) : words.waiting;
  }

  function failed(article, status, error) {
    const advice = words[`advice-${status}`] ?? (status >= 500 ? words["advice-500"] : "");
    const line = element("p", "flash bad", [error?.message, advice].filter(Boolean).join(" ") || words.lost);
    line.setAttribute("role", "alert");
    article.append(line);
    state.textContent = "";
  }

  // Reads one answer into its place. Returns what the usage said; null if there was none.
  async function read(response, answer, option) {
    let usage = null;
    let whole = false;
    for await (const { comment, data } of events(response)) {
      if (comment !== undefined) { if (!answer.body.textContent) state.textContent = place(comment); continue; }
      if (data === "[DONE]") return usage;
      const event = JSON.parse(data);
      if (event.error) throw Object.assign(new Error("refused"), { status: 500, refusal: event.error });
      usage = event.usage ?? usage;
      whole ||= Boolean(event.choices?.[0]?.finish_reason);
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      if (!answer.body.textContent) answer.queued = (Date.now() - answer.asked) / 1000; // where no header says it
      answer.body.textContent += piece;
      said.scrollTop = said.scrollHeight;
      const sofar = cost(option, answer.before / 4, answer.body.textContent.length / 4);
      state.textContent = words.answering + (sofar === null ? "" : ` ≈ ${put(words.approximately, { cost: money(sofar) })}`);
    }
    if (!whole) throw new Error("cut");
    return usage;
  }

  async function send(option, answer) {
    const headers = { "Content-Type": "application/json", "X-Fairgate-Xsrf": words.xsrf, "X-Fairgate-Keepalive": "comment" };
    const body = JSON.stringify({ model: option.value, messages, stream: true, stream_options: { include_usage: true } });
    const response = await fetch("/me/chat", { method: "POST", headers, body, signal: running.signal });
    if (!response.ok) {
      const refusal = await response.json().then((found) => found.error, () => null);
      throw Object.assign(new Error("refused"), { status: response.status, refusal });
    }
    const usage = await read(response, answer, option);
    const waited = response.headers.get("X-Queue-Wait-Ms");
    const wait = waited === null ? answer.queued : waited / 1000;
    const amount = usage && cost(option, usage.prompt_tokens, usage.completion_tokens);
    const figures = { wait: number(Math.round(wait * 10) / 10), in: number(usage?.prompt_tokens ?? 0), out: number(usage?.completion_tokens ?? 0) };
    state.textContent = put(words.done, { ...figures, cost: amount === null || amount === undefined ? "–" : `≈ ${money(amount)}` });
    const link = element("a", "small", words.details);
    link.href = `/me/requests/${encodeURIComponent(response.headers.get("X-Request-Id") ?? "")}`;
    const actions = element("p", "actions");
    if (navigator.clipboard) actions.append(copier(answer.body));
    actions.append(link);
    answer.article.append(actions);
  }

  function busy(is) {
    said.setAttribute("aria-busy", String(is)); // a reader hears the whole answer, not each of its pieces
    ask.disabled = is;
    stop.hidden = !is;
    fresh.hidden = is || !messages.length;
  }

  async function question() {
    const option = model.selectedOptions[0];
    messages.push({ role: "user", content: text.value.trim() });
    turn(words.you, text.value.trim());
    text.value = "";
    const answer = { ...turn(option.value, ""), before: JSON.stringify(messages).length, asked: Date.now(), queued: 0 };
    running = new AbortController();
    busy(true);
    state.textContent = words.asking;
    try {
      await send(option, answer);
    } catch (error) {
      if (error.name === "AbortError") state.textContent = words.stopped;
      else failed(answer.article, error.status ?? 0, error.refusal);
    }
    if (answer.body.textContent) messages.push({ role: "assistant", content: answer.body.textContent });
    else messages.pop();
    running = null;
    busy(false);
    showCode();
    text.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running && text.value.trim()) question();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  fresh.addEventListener("click", () => {
    messages.length = 0;
    said.replaceChildren();
    state.textContent = "";
    busy(false);
    text.focus();
  });
  for (const each of [text, model]) each.addEventListener("input", showCode);
  chat.hidden = false;
  part("off").hidden = true;
  showCode();
}
