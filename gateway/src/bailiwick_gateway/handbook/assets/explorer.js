// The API explorer: Swagger UI over one service's document at a time. Signing in is kept between services
// as long as the page is open, and nowhere else.
"use strict";

const links = [...document.querySelectorAll("[data-service]")];

function chosen() {
  const wanted = new URLSearchParams(location.search).get("service");
  return links.find((link) => link.dataset.service === wanted) ?? links[0];
}

function mark(current) {
  for (const link of links) {
    if (link === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// The documents name the way in by email and password; whoever has a token already may paste it.
function withToken(spec) {
  const schemes = spec?.components?.securitySchemes;
  if (!schemes || schemes.token) return spec;
  schemes.token = {
    type: "http",
    scheme: "bearer",
    description: "An access token from POST /v1/auth/token, without the word Bearer.",
  };
  for (const item of Object.values(spec.paths)) {
    for (const operation of Object.values(item)) operation.security?.push({ token: [] });
  }
  return spec;
}

const tokenBeside = () => ({
  statePlugins: {
    spec: { wrapActions: { updateJsonSpec: (original) => (spec) => original(withToken(spec)) } },
  },
});

mark(chosen());
const explorer = SwaggerUIBundle({
  url: chosen().dataset.document,
  dom_id: "#explorer",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  plugins: [tokenBeside],
  validatorUrl: null,
});

for (const link of links) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    show();
  });
}
addEventListener("popstate", show);

function show() {
  const current = chosen();
  if (current.hasAttribute("aria-current")) return;
  mark(current);
  explorer.specActions.updateUrl(current.dataset.document);
  explorer.specActions.download(current.dataset.document);
}
