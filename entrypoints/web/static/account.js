// Sends the token of a mailed link, which is in the fragment, when somebody asks for that. Opening the page sends nothing.

const form = document.getElementById("form");
const password = document.getElementById("password");
const button = form.querySelector("button");
const token = new URLSearchParams(location.hash.slice(1)).get("token");

function show(id) {
  form.hidden = true;
  const result = document.getElementById(id);
  result.hidden = false;
  const heading = result.querySelector("h1");
  document.title = document.title.replace(/^.* (?=– )/, `${heading.textContent} `);
  heading.focus();
}

function showFieldError(code) {
  const texts = [...document.querySelectorAll("#password-error [data-code]")];
  const shown = texts.find((text) => text.dataset.code === code) ?? texts.find((text) => text.dataset.code === "other");
  for (const text of texts) {
    text.hidden = code === null || text !== shown;
  }
  if (code === null) {
    password.removeAttribute("aria-invalid");
  } else {
    password.setAttribute("aria-invalid", "true");
    password.focus();
  }
}

function setBusy(isBusy) {
  const working = document.getElementById("working");
  working.textContent = isBusy ? working.dataset.text : "";
  button.setAttribute("aria-disabled", String(isBusy));
}

async function readProblem(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

async function send() {
  const body = password ? { token, new_password: password.value } : { token };
  const response = await fetch(form.dataset.call, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
  });
  if (response.status === 204) {
    history.replaceState(null, "", location.pathname); // a used token is of no use in the history
    show("done");
    return;
  }
  const problem = await readProblem(response);
  const fieldError = (problem.errors ?? []).find((error) => error.pointer === "/new_password");
  if (response.status === 400) {
    show("invalid");
  } else if (response.status === 409) {
    show(problem.code === "username_taken" ? "username-taken" : "email-taken");
  } else if (password && fieldError) {
    showFieldError(fieldError.code);
  } else {
    document.getElementById("failed").hidden = false;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-disabled") === "true") {
    return;
  }
  document.getElementById("failed").hidden = true;
  if (password) {
    showFieldError(password.value ? null : "required");
    if (!password.value) {
      return;
    }
  }
  setBusy(true);
  try {
    await send();
  } catch {
    document.getElementById("failed").hidden = false; // the service was not reached
  } finally {
    setBusy(false);
  }
});

document.getElementById("show-password")?.addEventListener("change", (event) => {
  password.type = event.target.checked ? "text" : "password";
});

if (token) {
  form.hidden = false;
} else {
  show("incomplete");
}
