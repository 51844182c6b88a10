// What a panel needs of the browser: parts that are patched, keys, clipboard, scrolling, visibility.
// It knows no panel. Python sends HTML in which everything from outside is escaped; here
// data-do       is an act to send when clicked (with data-* of the element and all fields' values)
// data-input    an act to send while typing, data-change when a field was changed
// data-submit   on a field: the act of Shift+Enter · data-escape on a part: the act of Esc
// data-copy     copies the text of the nearest data-code · data-clears names a field to empty
// data-stick    stays at its end while it grows, unless the reader scrolled up

const TYPING_MS = 200, SEEN_EVERY_MS = 10000;

function morph(old, fresh) {
  // Keeps elements that are there: focus, selection, what was typed or opened, and no flicker.
  // Parts inside a part are not its own: they are drawn under their own names.
  const before = [...old.childNodes].filter((node) => !node.dataset?.part), after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const there = before[index];
    if (!there) old.append(node);
    else if (there.isEqualNode(node)) return;
    else if (there.nodeType === 1 && there.nodeName === node.nodeName && there.id === node.id) {
      attributes(there, node);
      morph(there, node);
    } else if (there.nodeType === 3 && node.nodeType === 3) there.data = node.data;
    else there.replaceWith(node);
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes])
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that are not served by HTTPS or from localhost have no clipboard of that kind.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "wb-panel";
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", model.get("label"));
  root.dataset.lmSuppressShortcuts = "true"; // else Shift+Enter runs the cell
  const spoken = document.createElement("div");
  spoken.className = "wb-spoken";
  spoken.setAttribute("role", "status");
  el.append(root);
  root.append(spoken);

  const say = (text) => { spoken.textContent = text; };
  const part = (name) => [...root.querySelectorAll("[data-part]")].find((it) => it.dataset.part === name);

  function place(name) {
    const made = document.createElement("div");
    made.dataset.part = name;
    made.className = "wb-part";
    const parent = name.includes("/") && part(name.slice(0, name.lastIndexOf("/")));
    const inside = parent && (parent.querySelector("[data-inside]") || parent);
    if (inside) inside.append(made);
    else root.insertBefore(made, spoken);
    return made;
  }

  function draw(parts) {
    const sticking = [...root.querySelectorAll("[data-stick]")].filter(
      (it) => it.scrollHeight - it.scrollTop - it.clientHeight < 40);
    for (const [name, html] of Object.entries(parts)) {
      if (html === null) part(name)?.remove();
      else morph(part(name) || place(name), fragment(html));
    }
    for (const it of root.querySelectorAll("[data-stick]"))
      if (sticking.includes(it) || !it.dataset.seen) { it.scrollTop = it.scrollHeight; it.dataset.seen = 1; }
  }

  function values() {
    const found = {};
    for (const field of root.querySelectorAll("[name]"))
      found[field.name] = field.type === "checkbox" ? field.checked : field.value;
    return found;
  }

  function act(name, element) {
    const clears = element?.dataset.clears;
    model.send({ do: name, values: { ...values(), ...element?.dataset } });
    const field = clears && root.querySelector(`[name="${clears}"]`);
    if (field) field.value = "";
  }

  async function copied(text) { await copy(text); say("Copied"); }

  function clicked(event) {
    const button = event.target.closest("[data-copy], [data-do]");
    if (!button || button.disabled) return;
    if (button.dataset.do) return act(button.dataset.do, button);
    copied(button.closest("[data-code]").querySelector("pre, code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  }

  function pressed(event) {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.isComposing) return;
    if (event.key === "Escape") {
      const stop = root.querySelector("[data-escape]");
      if (stop) { event.preventDefault(); act(stop.dataset.escape, stop); }
    }
    const submit = event.target.dataset?.submit;
    const single = event.target.nodeName === "INPUT";
    if (submit && event.key === "Enter" && (event.shiftKey || single)) {
      event.preventDefault();
      act(submit, event.target);
    }
  }

  let typing;
  function typed(event) {
    const { input } = event.target.dataset;
    if (!input) return;
    clearTimeout(typing);
    typing = setTimeout(() => act(input, event.target), TYPING_MS);
  }
  function changed(event) {
    const { change } = event.target.dataset;
    if (change) act(change, event.target);
  }

  // Said again and again while it is seen: a page that is closed says nothing.
  const view = Math.random().toString(36).slice(2);
  let onScreen = false, told = false;
  function tell() {
    const visible = onScreen && !document.hidden;
    if (visible || told) model.send({ do: visible ? "seen" : "hidden", values: { view } });
    told = visible;
  }
  const telling = setInterval(tell, SEEN_EVERY_MS);
  const watcher = new IntersectionObserver((entries) => {
    onScreen = entries.at(-1).isIntersecting;
    tell();
  });

  function heard(message) {
    if (message.parts) draw(message.parts);
    if (message.say) say(message.say);
    if (message.copy) copied(message.copy);
    for (const [name, text] of Object.entries(message.fill || {})) {
      const field = root.querySelector(`[name="${name}"]`);
      if (field) { field.value = text; field.focus(); }
    }
  }
  const redraw = () => draw(model.get("parts"));

  root.addEventListener("click", clicked);
  root.addEventListener("keydown", pressed);
  root.addEventListener("input", typed);
  root.addEventListener("change", changed);
  document.addEventListener("visibilitychange", tell);
  model.on("msg:custom", heard);
  model.on("change:parts", redraw);
  redraw();
  watcher.observe(root);
  model.send({ do: "hello", values: {} });

  return () => {
    watcher.disconnect();
    clearInterval(telling);
    document.removeEventListener("visibilitychange", tell);
    model.off("msg:custom", heard);
    model.off("change:parts", redraw);
    if (told) model.send({ do: "hidden", values: { view } });
  };
}

export default { render };
