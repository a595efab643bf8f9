#!/usr/bin/env -S node --max-semi-space-size=4 --disable-warning=ExperimentalWarning
/** `dstream-ingester-mssql`, the name that configurations know the provider by: `dstream provider mssql`. */
import { providerMssql } from "./provider-mssql.ts";

process.exit(await providerMssql());
