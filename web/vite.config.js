import { defineConfig } from "vite";

// For development: `npx vite` with a server at port 8080 behind it.
const server = "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    // Everything comes from the server itself; what is inlined as data: its policy would refuse.
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
  },
  server: {
    proxy: { "/v1": server, "/props": server, "/metrics": server, "/health": server },
  },
});
