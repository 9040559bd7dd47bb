package com.rhythmx.ticketing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AfterTestExecutionCallback;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.opentest4j.TestAbortedException;

/** A test that provides a row of the table in sdks/README.md. */
@Test
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(Behaviour.Writes.class)
@interface Behaviour {
  /** The name of the row. */
  String value();

  /** Appends a line to the file SDK_RESULTS, if it is set. */
  final class Writes implements AfterTestExecutionCallback {
    private static boolean begun;

    @Override
    public void afterTestExecution(ExtensionContext context) throws Exception {
      String results = System.getenv("SDK_RESULTS");
      if (results == null || context.getExecutionException().orElse(null) instanceof TestAbortedException) {
        return;
      }
      if (!begun) {
        Files.deleteIfExists(Path.of(results));
        begun = true;
      }
      String row = context.getRequiredTestMethod().getAnnotation(Behaviour.class).value();
      String verdict = context.getExecutionException().isPresent() ? "failed" : "passed";
      Files.writeString(
          Path.of(results), row + "\t" + verdict + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
  }
}
