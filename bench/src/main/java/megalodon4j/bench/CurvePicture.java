package megalodon4j.bench;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;

/** Curves as panels side by side in a PNG. */
final class CurvePicture {
    // Dots for each one asked for: for screens that show two where others show one.
    private static final int FINE = 2;

    private CurvePicture() {}

    /** An empty panel that looks like all of them; its y axis begins at 0. */
    static XYChart chart(int width, String xTitle, String yTitle) {
        var chart = new XYChartBuilder()
                .width(width)
                .height(400)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        var style = chart.getStyler();
        style.setYAxisMin(0.0);
        style.setLegendPosition(LegendPosition.InsideNW);
        style.setChartBackgroundColor(Color.WHITE);
        return chart;
    }

    static void save(Path png, XYChart... panels) throws IOException {
        int width = 0, height = 0;
        for (var panel : panels) {
            width += panel.getWidth();
            height = Math.max(height, panel.getHeight());
        }
        var image = new BufferedImage(FINE * width, FINE * height, BufferedImage.TYPE_INT_RGB);
        var graphics = image.createGraphics();
        graphics.scale(FINE, FINE);
        for (var panel : panels) {
            panel.paint(graphics, panel.getWidth(), panel.getHeight());
            graphics.translate(panel.getWidth(), 0);
        }
        graphics.dispose();
        ImageIO.write(image, "png", png.toFile());
    }
}
