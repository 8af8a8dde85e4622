import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const hub = process.env.SPRINGHOUSE_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), tailwind()],
  // Fonts stay files: the hub's content security policy forbids data: URLs.
  build: { assetsInlineLimit: 0, target: "es2022", chunkSizeWarningLimit: 600 },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: hub, ws: true }, "/welcome": hub, "/metrics": hub },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
