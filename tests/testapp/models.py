"""Models with the quirks that the tests need. There are no migrations: tables come from syncdb."""
