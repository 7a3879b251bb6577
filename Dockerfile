# Where the packages are installed and the sources compiled. The full image has python3, make and g++, which
# better-sqlite3 needs where no prebuilt binary can be fetched.
FROM node:24-bookworm AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --include=dev
COPY tsconfig.json tsconfig.build.json ./
COPY migrations migrations
COPY src src
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json
RUN npm prune --omit=dev

# What runs: Node, the distribution's Chromium with fonts for reports, the compiled program and what it serves.
FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium fonts-liberation fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY views views
COPY static static
# So that "npm run user" and its siblings work inside the container too.
COPY src/cli/run.js src/cli/prepare.js src/cli/
RUN install --directory --owner=node --group=node --mode=0700 /data
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data \
    PUPPETEER_EXECUTABLE_PATH=/usr/bin/chromium \
    PDF_SANDBOX=if-possible
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1 and handles SIGTERM: it drains what it has accepted, then ends.
CMD ["node", "--max-old-space-size=256", "dist/src/main.js"]
